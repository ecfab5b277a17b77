"""Takes the tables of a stack back to an earlier moment, as a restore does: nothing else goes back."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from moto.dynamodb.models import dynamodb_backends

from local.aws import emulator
from local.aws.patches.aws_calls import other_dynamodb

type Items = Mapping[str, Any]

OURS = ("payments", "audit", "webhookEvents")
PLATFORM = ("reservations", "availability")
TABLES = (*OURS, *PLATFORM)


def backup(outputs: Mapping[str, Any], tables: Sequence[str] = TABLES) -> Items:
    """The items of these tables as they are now, by the table's name."""
    names = [outputs[f"{table}Table"] for table in tables]
    if other_dynamodb.endpoint is None:
        return {name: copy.deepcopy(_in_memory(name).items) for name in names}
    client = boto3.client("dynamodb", region_name=emulator.REGION)
    pages = client.get_paginator("scan").paginate
    return {name: [item for page in pages(TableName=name) for item in page["Items"]] for name in names}


def restore(items: Items) -> None:
    """Give the tables these items and no others."""
    if other_dynamodb.endpoint is None:
        for name, of in items.items():
            _in_memory(name).items = copy.deepcopy(of)
        return
    client = boto3.client("dynamodb", region_name=emulator.REGION)
    for name, of in items.items():
        keys = [key["AttributeName"] for key in client.describe_table(TableName=name)["Table"]["KeySchema"]]
        for page in client.get_paginator("scan").paginate(TableName=name):
            for item in page["Items"]:
                client.delete_item(TableName=name, Key={key: item[key] for key in keys})
        for item in of:
            client.put_item(TableName=name, Item=item)


def _in_memory(name: str) -> Any:
    return dynamodb_backends[emulator.ACCOUNT][emulator.REGION].tables[name]
