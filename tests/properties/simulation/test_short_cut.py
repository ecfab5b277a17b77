"""The short cut to moto's tables answers as the SDK does, errors included."""

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import emulator
from tests.harness.leaks import WatchedStack
from tests.properties.simulation.simulated_stack import SimulatedStack, simulated_stack

KEY = {"date": {"S": "2027-01-01"}}
OTHER = {"date": {"S": "2027-01-02"}}
WRITE: dict[str, Any] = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
NEVER = {"ConditionExpression": "attribute_exists(never)"}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_item", {"Key": KEY, "ConsistentRead": True}),
    ("update_item", {"Key": KEY, **WRITE, "ReturnValues": "ALL_NEW"}),
    ("get_item", {"Key": KEY}),
    ("update_item", {"Key": KEY, **WRITE, **NEVER}),
    ("put_item", {"Item": KEY, **NEVER}),
    ("update_item", {"Key": KEY, "UpdateExpression": "nonsense"}),
    ("update_item", {"Key": {"other": {"S": "1"}}, **WRITE}),
    ("transact_write_items", {"TransactItems": [{"Update": {"Key": KEY, **WRITE}}]}),
    ("transact_write_items", {"TransactItems": [{"Update": {"Key": KEY, **WRITE}}, {"Put": {"Item": OTHER, **NEVER}}]}),
    ("batch_get_item", {"RequestItems": {"": {"Keys": [KEY]}}}),
]


def answers(client: Any, table: str) -> list[Any]:
    """What the calls return or raise, without the metadata of HTTP."""
    found: list[Any] = []
    for name, given in CALLS:
        call = getattr(client, name)
        try:
            answer = call(**with_table(given, table))
        except ClientError as error:
            answer = {**error.response, "class": type(error).__name__, "text": str(error)}
            answer["Error"] = {field: error.response["Error"][field] for field in ("Code", "Message")}
            for again in ("message", "Message"):  # the SDK repeats it where the service declares it
                answer.pop(again, None)
        answer.pop("ResponseMetadata")
        found.append(answer)
    return found


def with_table(given: dict[str, Any], table: str) -> dict[str, Any]:
    if "RequestItems" in given:
        return {"RequestItems": {table: given["RequestItems"][""]}}
    if "TransactItems" in given:
        items = [{kind: {"TableName": table, **item} for kind, item in one.items()} for one in given["TransactItems"]]
        return {"TransactItems": items}
    return {"TableName": table, **given}


def test_both_ways_give_the_same_answers_and_errors(local: WatchedStack) -> None:
    found = {}
    for take_short_cut in (True, False):
        with simulated_stack(local, seed=1, take_short_cut=take_short_cut) as stack:
            config = Config(region_name=emulator.REGION, user_agent_extra=f"caller/{emulator.LOCAL}")
            client = boto3.client("dynamodb", config=config)
            found[take_short_cut] = answers(client, stack.outputs["availabilityTable"])
    assert found[True] == found[False]
    assert {answer["class"] for answer in found[True] if "class" in answer} == {
        "ConditionalCheckFailedException",
        "ClientError",
        "TransactionCanceledException",
    }


def test_other_services_answer_the_same_on_both_ways(local: WatchedStack) -> None:
    with simulated_stack(local, seed=1) as stack:
        booking = stack.reserve()
        booking.pay_now()
        booking.pay()
        booking.wait_for_end()
        for service, operation, given in _other_calls(stack, booking.id):
            short, long = (_outcome(service, agent, operation, given) for agent in ("", "Resource"))
            assert short == long, operation


def _other_calls(stack: SimulatedStack, booking: str) -> list[tuple[str, str, dict[str, Any]]]:
    machine, execution = stack.machine("payment"), stack.execution_arn(booking)
    topic = stack.outputs["operatorTopicArn"]
    parameter = stack.local.deployment.environment["STRIPE_SECRET_KEY_PARAMETER"]
    event = {"Source": "test", "DetailType": "test", "Detail": "{}", "EventBusName": stack.outputs["eventBusName"]}
    return [
        ("ssm", "get_parameter", {"Name": parameter, "WithDecryption": True}),
        ("ssm", "get_parameter", {"Name": "/never", "WithDecryption": True}),
        ("sns", "get_topic_attributes", {"TopicArn": topic}),
        ("sns", "get_topic_attributes", {"TopicArn": f"{topic}-never"}),
        ("sns", "publish", {"TopicArn": topic, "Subject": "a subject", "Message": "a message"}),
        ("events", "put_events", {"Entries": [event]}),
        ("stepfunctions", "list_executions", {"stateMachineArn": machine}),
        ("stepfunctions", "list_executions", {"stateMachineArn": machine, "statusFilter": "RUNNING"}),
        ("stepfunctions", "describe_execution", {"executionArn": execution}),
        ("stepfunctions", "describe_execution", {"executionArn": f"{execution}-never"}),
        ("stepfunctions", "get_execution_history", {"executionArn": execution}),
        ("stepfunctions", "start_execution", {"stateMachineArn": machine, "name": booking, "input": "{}"}),
        ("stepfunctions", "send_task_success", {"taskToken": "never", "output": "{}"}),
        ("stepfunctions", "stop_execution", {"executionArn": f"{execution}-never"}),
        ("lambda", "invoke", {"FunctionName": stack.outputs["reconcilerFunction"], "Payload": b"{}"}),
        ("lambda", "invoke", {"FunctionName": stack.outputs["reconcilerFunction"], "Payload": b"[]"}),
    ]


def _outcome(service: str, agent: str, operation: str, given: dict[str, Any]) -> Any:
    """What the call returns or raises; of what is drawn at random, that it is there."""
    config = Config(region_name=emulator.REGION, user_agent_extra=agent)
    client: Any = boto3.client(service, config=config)  # type: ignore[call-overload]
    try:
        answer = getattr(client, operation)(**given)
    except ClientError as error:
        return type(error).__name__, error.response["Error"]["Code"], str(error)
    answer.pop("ResponseMetadata")
    if "Payload" in answer:
        answer["Payload"] = {**json.loads(answer["Payload"].read()), "requestId": "random"}
    return {name: "random" if name in {"MessageId", "Entries"} else value for name, value in answer.items()}
