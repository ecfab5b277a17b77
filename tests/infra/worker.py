"""Deploys in a separate process, so that the global state of Pulumi and moto stays apart from other tests."""

from typing import Any, NamedTuple

import boto3
from moto import mock_aws

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


def deploy(config: dict[str, str | int], given_tables: tuple[str, ...] = (), name: str = "local") -> Seen:
    with mock_aws(config={"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}):
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        for table in given_tables:
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            )
        return _seen(deployer.deploy(config, name), dynamodb)


def _seen(deployment: deployer.Deployment, dynamodb: Any) -> Seen:
    functions = boto3.client("lambda", region_name=REGION)
    ssm = boto3.client("ssm", region_name=REGION)
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
        parameters={name: ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] for name in names},
    )
