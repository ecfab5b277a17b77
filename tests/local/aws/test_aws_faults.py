"""Injected faults of AWS, as the SDK meets them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from local.aws import emulator
from tests.harness.tables import in_table

ONE_TRY = Config(retries={"total_max_attempts": 1})
KEY = {"id": {"S": "one"}}


@pytest.fixture
def dynamodb(dynamodb: Any) -> Iterator[Any]:
    """As a function calls it, and without the SDK's retries."""
    token = emulator.current_function.set("verify_payment")
    yield boto3.client("dynamodb", config=ONE_TRY)
    emulator.current_function.reset(token)


def update(client: Any) -> None:
    client.update_item(
        TableName="payments", Key=KEY, UpdateExpression="ADD tries :one", ExpressionAttributeValues={":one": {"N": "1"}}
    )


def tries(client: Any) -> Any:
    return client.get_item(TableName="payments", Key=KEY).get("Item", {}).get("tries", {}).get("N")


@in_table()
def test_the_next_n_calls_fail_and_change_nothing(dynamodb: Any, kind: str, code: str, status: int) -> None:
    emulator.aws_faults.add("dynamodb.UpdateItem", kind, times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            update(dynamodb)
        assert raised.value.response["Error"]["Code"] == code
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    update(dynamodb)
    assert tries(dynamodb) == "1"


def test_the_sdk_retries_as_on_aws(dynamodb: Any) -> None:
    emulator.aws_faults.add("dynamodb.UpdateItem", "throttled", times=2)
    update(boto3.client("dynamodb"))
    assert tries(dynamodb) == "1"
    assert emulator.counts.operations["verify_payment", "dynamodb.UpdateItem"] == 3


def test_a_conflicting_transaction_has_the_conflict_among_its_reasons(dynamodb: Any) -> None:
    emulator.aws_faults.add("dynamodb.TransactWriteItems", "conflict")
    put = {"Put": {"TableName": "payments", "Item": KEY}}
    other = {"Put": {"TableName": "payments", "Item": {"id": {"S": "two"}}}}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as raised:
        dynamodb.transact_write_items(TransactItems=[put, other])
    codes = [reason["Code"] for reason in raised.value.response["CancellationReasons"]]
    assert codes == ["TransactionConflict", "None"]
    assert "[TransactionConflict, None]" in str(raised.value)


def test_a_call_can_succeed_although_its_answer_is_lost(dynamodb: Any) -> None:
    emulator.aws_faults.add("dynamodb.UpdateItem", "unanswered")
    with pytest.raises(ReadTimeoutError):
        update(dynamodb)
    assert tries(dynamodb) == "1"


def test_a_fault_of_one_function_leaves_the_others_alone(dynamodb: Any) -> None:
    emulator.aws_faults.add("dynamodb.UpdateItem", "internal_error", function="stripe-webhook")
    update(dynamodb)
    token = emulator.current_function.set("stripe_webhook")
    with pytest.raises(dynamodb.exceptions.InternalServerError):
        update(dynamodb)
    emulator.current_function.reset(token)
    assert tries(dynamodb) == "1"


def test_calls_of_the_local_stack_itself_meet_no_faults(dynamodb: Any) -> None:
    emulator.aws_faults.add("dynamodb.UpdateItem", "internal_error")
    token = emulator.current_function.set(None)
    update(dynamodb)
    emulator.current_function.reset(token)
    assert tries(dynamodb) == "1"


@in_table()
def test_each_service_reports_errors_in_its_own_protocol(
    dynamodb: Any, service: str, operation: str, call: dict[str, Any], code: str
) -> None:
    emulator.aws_faults.add(operation, "internal_error")
    client: Any = boto3.client(service, config=ONE_TRY)  # type: ignore[call-overload]
    name = {"Publish": "publish", "PutEvents": "put_events", "SendTaskSuccess": "send_task_success"}
    with pytest.raises(ClientError) as raised:
        getattr(client, name.get(operation.partition(".")[2], "get_parameter"))(**call)
    assert raised.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("operation", "kind"), [("dynamodb.UpdateItem", "broken"), ("dynamodb.GetItem", "conflict"), ("s.X", "conflict")]
)
def test_unknown_kinds_and_impossible_conflicts_are_refused(operation: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"kind is one of|meets no conflicts"):
        emulator.aws_faults.add(operation, kind)
