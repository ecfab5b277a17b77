"""What the states write to DynamoDB themselves, above all the tokens that resume a wait."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.structure.definitions import (
    DYNAMODB_ERRORS,
    MACHINES,
    STATES,
    errors_in,
    state_of,
    tasks,
    waits_for_a_signal,
)


@pytest.mark.defect("P-11")
@pytest.mark.parametrize(("machine", "name"), waits_for_a_signal())
def test_a_wait_for_a_signal_ends_and_is_never_repeated_as_a_whole(machine: str, name: str) -> None:
    """Only the write is retried. A retry after Timeout, TaskFailed or ALL would repeat the wait."""
    state = state_of(machine, name)
    assert state["TimeoutSeconds"]
    assert set(errors_in(state, "Retry")) <= DYNAMODB_ERRORS
    caught = set(errors_in(state, "Catch"))
    assert caught - {"States.Timeout"} == {"States.ALL", "DynamoDb.ConditionalCheckFailedException"}


@pytest.mark.defect("D-32", "P-11")
@pytest.mark.parametrize(
    ("name", "seconds", "following"),
    [("AwaitRefundSettlement", 86_400, "CheckRefund"), ("AwaitOperator", 3 * 86_400, "NotifyOperators")],
)
def test_a_refund_that_gets_no_signal_continues_by_itself(name: str, seconds: int, following: str) -> None:
    """Stripe is asked after a day, operators are notified again after three. The execution outlives both."""
    state = state_of("refund", name)
    assert state["TimeoutSeconds"] == seconds
    assert [catch["Next"] for catch in state["Catch"] if catch["ErrorEquals"] == ["States.Timeout"]] == [following]
    assert MACHINES["refund"]["TimeoutSeconds"] == 364 * 86_400


@pytest.mark.defect("P-12")
@pytest.mark.parametrize(("machine", "name"), waits_for_a_signal())
def test_a_token_is_stored_with_a_sequence_that_only_rises(machine: str, name: str) -> None:
    """The token is part of the conditional write that starts the wait, so an older write cannot replace it."""
    arguments = state_of(machine, name)["Arguments"]
    values = arguments["ExpressionAttributeValues"]
    assert values[":token"] == {"S": "{% $states.context.Task.Token %}"}
    assert values[":sequence"] == {
        "N": "{% $string($toMillis($states.context.State.EnteredTime) * 100 + $states.context.State.RetryCount) %}"
    }
    assert re.search(r"task_token = :token, .*token_sequence = :sequence", arguments["UpdateExpression"])
    assert re.search(r"attribute_not_exists\((\S*token_sequence)\) OR \1 < :sequence", arguments["ConditionExpression"])


@pytest.mark.defect("P-12")
def test_a_refund_waits_only_while_its_entry_is_undecided() -> None:
    """It does not wait either when news arrived before the wait began."""
    settlement, operator = (state_of("refund", f"Await{of}")["Arguments"] for of in ("RefundSettlement", "Operator"))
    assert "refunds.#id.#status IN (:pending, :action)" in settlement["ConditionExpression"]
    assert "attribute_not_exists(refunds.#id.check_requested_at)" in settlement["ConditionExpression"]
    assert settlement["ExpressionAttributeValues"][":pending"] == {"S": "pending"}
    assert "refunds.#id.#status = :failed" in operator["ConditionExpression"]
    assert operator["ExpressionAttributeValues"][":failed"] == {"S": "failed"}
    for name in ("AwaitRefundSettlement", "AwaitOperator"):
        catches = state_of("refund", name)["Catch"]
        (refused,) = [catch for catch in catches if "ConditionalCheckFailed" in catch["ErrorEquals"][0]]
        assert refused["Next"] == "CheckRefund"


@pytest.mark.defect("D-22", "P-12")
def test_the_checkout_url_is_published_together_with_the_token() -> None:
    """Nobody can know the URL before its wait exists, and a cancelled or older attempt gets none."""
    arguments = state_of("payment", "AwaitPayment")["Arguments"]
    assert "checkout_url = :url" in arguments["UpdateExpression"]
    assert "task_token = :token" in arguments["UpdateExpression"]
    assert "attribute_not_exists(cancel_requested_at)" in arguments["ConditionExpression"]
    assert "current_attempt = :key" in arguments["ConditionExpression"]
    writers = [name for name, state in MACHINES["payment"]["States"].items() if "checkout_url =" in json.dumps(state)]
    assert writers == ["AwaitPayment"]


@pytest.mark.defect("P-13")
def test_an_execution_never_replaces_the_payment_of_an_earlier_one() -> None:
    """Whoever wrote the item, what it knows of attempts and money is decided from."""
    record = state_of("payment", "RecordPayment")
    assert "payment_id" in record["Arguments"]["Item"]
    assert record["Arguments"]["ConditionExpression"] == "attribute_not_exists(payment_id)"
    refused = [
        catch["Next"] for catch in record["Catch"] if "DynamoDb.ConditionalCheckFailedException" in catch["ErrorEquals"]
    ]
    assert refused == ["VerifyPayment"]


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_the_token_sequence_is_never_removed(machine: str, name: str) -> None:
    arguments = state_of(machine, name).get("Arguments", {})
    removed = str(arguments.get("UpdateExpression", "")).partition("REMOVE")[2]
    assert "token_sequence" not in removed


def attribute_values(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for value in values.values():
        ((kind, content),) = value.items()
        yield kind, content
        if kind == "M":
            yield from attribute_values(content)


@pytest.mark.parametrize(("machine", "name"), tasks("dynamodb"))
def test_attribute_values_have_types_that_sdk_integrations_spell_as_usual(machine: str, name: str) -> None:
    """AWS spells all types but S, N and M in its own way there. A number is given as text."""
    arguments = state_of(machine, name)["Arguments"]
    for field in ("Item", "Key", "ExpressionAttributeValues"):
        for kind, content in attribute_values(arguments.get(field, {})):
            assert (kind, type(content)) in {("S", str), ("N", str), ("M", dict)}


@pytest.mark.parametrize(("machine", "name"), tasks("dynamodb"))
def test_every_alias_and_value_of_a_write_is_used_and_given(machine: str, name: str) -> None:
    """DynamoDB refuses one that is not used and one that is not given. moto is less strict."""
    arguments = state_of(machine, name)["Arguments"]
    text = " ".join(str(arguments.get(field, "")) for field in ("UpdateExpression", "ConditionExpression"))
    assert set(re.findall(r"#\w+", text)) == set(arguments.get("ExpressionAttributeNames", {}))
    assert set(re.findall(r":\w+", text)) == set(arguments.get("ExpressionAttributeValues", {}))


@pytest.mark.parametrize(("machine", "name"), tasks("dynamodb"))
def test_every_write_has_the_arguments_that_the_api_knows(machine: str, name: str) -> None:
    state = state_of(machine, name)
    expected = {"TableName", "Item", "ConditionExpression"}
    if "updateItem" in state["Resource"]:
        expected = {"TableName", "Key", "UpdateExpression", "ConditionExpression", "ExpressionAttributeValues"}
    assert state["Arguments"].keys() - {"ExpressionAttributeNames"} == expected
