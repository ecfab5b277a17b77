"""Small state machines and functions, deployed to the emulator and run."""

import json
import sys
import types
from collections.abc import Callable
from typing import Any

import boto3

from local.aws import archives
from tests.harness.waiting import wait_until

ROLE = "arn:aws:iam::123456789012:role/test"

AWAIT: dict[str, Any] = {
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
    "Arguments": {
        "TableName": "payments",
        "Key": {"id": {"S": "{% $states.context.Execution.Name %}"}},
        "UpdateExpression": "SET task_token = :token",
        "ExpressionAttributeValues": {":token": {"S": "{% $states.context.Task.Token %}"}},
    },
    "TimeoutSeconds": 30,
    "End": True,
}


def deploy_function(handler: Callable[[Any, Any], Any], name: str = "echo", timeout: int = 3) -> str:
    module = types.ModuleType(f"lambdas.{name}")
    module.handler = handler  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    boto3.client("iam").create_role(RoleName=f"test-{name}", AssumeRolePolicyDocument="{}")
    function = boto3.client("lambda").create_function(
        FunctionName=f"booking-{name}",
        Role=f"arn:aws:iam::123456789012:role/test-{name}",
        Handler=f"lambdas.{name}.handler",
        Runtime="python3.13",
        Code={"ZipFile": archives.WORKING_TREE},
        Timeout=timeout,
        Publish=True,
    )
    return str(function["FunctionArn"]).removesuffix(":1")


def create_state_machine(states: dict[str, Any], name: str = "machine", **top: Any) -> str:
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states} | top
    sfn = boto3.client("stepfunctions")
    created = sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE, publish=True)
    return str(created["stateMachineArn"])


def start(arn: str, value: Any, name: str = "one") -> str:
    started = boto3.client("stepfunctions").start_execution(stateMachineArn=arn, name=name, input=json.dumps(value))
    return str(started["executionArn"])


def end_of(execution: str) -> dict[str, Any]:
    sfn = boto3.client("stepfunctions")

    def description() -> Any:
        described = sfn.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    return dict(wait_until(description, "the execution to end"))


def run(states: dict[str, Any], value: Any = None) -> dict[str, Any]:
    return end_of(start(create_state_machine(states), value or {}))


def output(states: dict[str, Any], value: Any = None) -> Any:
    result = run(states, value)
    assert result["status"] == "SUCCEEDED", result.get("cause")
    return json.loads(result["output"])


def history(execution: str) -> list[Any]:
    return list(boto3.client("stepfunctions").get_execution_history(executionArn=execution)["events"])


def stored_token(dynamodb: Any, name: str = "one") -> str:
    def token() -> Any:
        item = dynamodb.get_item(TableName="payments", Key={"id": {"S": name}}, ConsistentRead=True).get("Item", {})
        return item.get("task_token", {}).get("S")

    return str(wait_until(token, "the task token to be stored"))
