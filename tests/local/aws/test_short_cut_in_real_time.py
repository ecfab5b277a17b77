"""The short cut to moto, on a stack in real time: what is counted, and where faults are met."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws import aws_account, emulator
from local.aws.patches.short_cut import short_cut
from local.aws.request_units import MeteredRequest, meter
from local.stack import _may_be_refused

KEY = {"id": {"S": "one"}}


def requests(dynamodb: Any) -> list[MeteredRequest]:
    """What some requests are counted as, the last of which is refused."""
    meter.start()
    dynamodb.put_item(TableName="payments", Item={**KEY, "text": {"S": "x" * 2000}})
    query = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": KEY["id"]}}
    assert dynamodb.query(TableName="payments", ConsistentRead=True, **query)["Count"] == 1
    dynamodb.batch_get_item(RequestItems={"payments": {"Keys": [KEY]}})
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        dynamodb.put_item(TableName="payments", Item=KEY, ConditionExpression="attribute_not_exists(id)")
    return meter.stop()


def test_requests_cost_the_same_on_both_ways(dynamodb: Any) -> None:
    long = requests(dynamodb)
    with short_cut(_may_be_refused):
        short = requests(dynamodb)
    assert [(of.operation, of.read, of.write) for of in short] == [
        ("PutItem", 0, 2),
        ("Query", 1, 0),
        ("BatchGetItem", 0.5, 0),
        ("PutItem", 0, 2),  # DynamoDB charges for a refused write too
    ]
    assert short == long


def test_faults_are_met_on_the_long_way_where_the_sdk_tries_again(dynamodb: Any) -> None:
    token = emulator.current_function.set("verify_payment")
    with short_cut(_may_be_refused):
        emulator.aws_faults.add("dynamodb.PutItem", "throttled")
        before = aws_account.counts.operations["verify_payment", "dynamodb.PutItem"]
        boto3.client("dynamodb").put_item(TableName="payments", Item=KEY)
    emulator.current_function.reset(token)
    assert aws_account.counts.operations["verify_payment", "dynamodb.PutItem"] - before == 2
    assert emulator.aws_faults.pending() == []
