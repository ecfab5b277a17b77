"""Deploys in a separate process, so that the global state of Pulumi and moto stays apart from other tests."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
from moto import mock_aws

from local.aws import emulator
from local.aws.aws_account import REGION
from local.pulumi import deployer


class Seen(NamedTuple):
    """A deployment, and the state of the in-process AWS after it."""

    deployment: deployer.Deployment
    tables: dict[str, Any]
    ttl: dict[str, str | None]
    functions: dict[str, Any]
    definitions: dict[str, str]
    parameters: dict[str, str]
    roles: dict[str, Any]
    printed: list[str]


def deploy(
    config: dict[str, str | int], given_tables: tuple[str, ...] = (), name: str = "local", beside: str | None = None
) -> Seen:
    """Deploy the stack `name`, into an account that has the stack `beside` already."""
    emulator.install()
    with mock_aws(config=emulator.CONFIG):
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        for table in given_tables:
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            )
        if beside is not None:
            deployer.deploy(config, beside)
        with _printed() as printed:
            deployment = deployer.deploy(config, name)
        return _seen(deployment, dynamodb, printed)


@contextlib.contextmanager
def _printed() -> Iterator[list[str]]:
    """What the program prints meanwhile; Pulumi's mocks pass it to the root logger."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield messages
    logging.getLogger().removeHandler(handler)


def _seen(deployment: deployer.Deployment, dynamodb: Any, printed: list[str]) -> Seen:
    functions = boto3.client("lambda", region_name=REGION)
    ssm = boto3.client("ssm", region_name=REGION)
    iam = boto3.client("iam", region_name=REGION)
    workflows = boto3.client("stepfunctions", region_name=REGION)
    tables = dynamodb.list_tables()["TableNames"]
    names = [parameter["Name"] for parameter in ssm.describe_parameters()["Parameters"]]
    return Seen(
        deployment,
        tables={name: dynamodb.describe_table(TableName=name)["Table"] for name in tables},
        ttl={
            name: dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"].get("AttributeName")
            for name in tables
        },
        functions={function["FunctionName"]: function for function in functions.list_functions()["Functions"]},
        definitions={
            machine["name"]: workflows.describe_state_machine(stateMachineArn=machine["stateMachineArn"])["definition"]
            for machine in workflows.list_state_machines()["stateMachines"]
        },
        roles={role["RoleName"]: role for role in iam.list_roles(MaxItems=1000)["Roles"]},
        printed=printed,
        parameters={name: ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] for name in names},
    )
