"""What the refund workflow cannot do, whatever happens: rules beyond those that every state machine keeps."""

import json
from pathlib import Path
from typing import Any

import pytest

DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "statemachines" / "refund.asl.json").read_text(encoding="utf-8")
)
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
SUCCESSES = {name for name, state in STATES.items() if state["Type"] == "Succeed"}


def nexts(name: str) -> set[str]:
    state = STATES[name]
    found = {rule["Next"] for rule in state.get("Choices", []) + state.get("Catch", [])}
    return found | {state[key] for key in ("Next", "Default") if key in state}


def ways_from(start: str, *, without: str = "") -> set[str]:
    """Every state that can be reached, `without` cut out."""
    found, waiting = set[str](), [start]
    while waiting:
        for after in nexts(waiting.pop()) - found - {without}:
            found.add(after)
            waiting.append(after)
    return found


def before(name: str) -> set[str]:
    return {state for state in STATES if name in nexts(state)}


def test_the_successes_are_these_two() -> None:
    assert sorted(SUCCESSES) == ["RefundCompleted", "RefundRefused"]


def test_no_path_leads_from_a_failed_refund_to_a_success_but_through_a_person() -> None:
    """P-07."""
    assert ways_from("RecordRefundFailure") & SUCCESSES
    assert ways_from("RecordRefundFailure", without="AwaitOperator") & SUCCESSES == set()


def test_whatever_is_not_known_to_go_well_is_a_failure() -> None:
    """P-07: a status nobody has thought of, and every error of the refund itself."""
    assert STATES["RefundStatus?"]["Default"] == "RecordRefundFailure"
    assert {catch["Next"] for catch in STATES["CreateRefund"]["Catch"]} == {"RecordRefundFailure"}
    assert STATES["OperatorAnswer?"]["Default"] == "NotifyOperators"


def test_nothing_is_published_as_done_before_it_is_entered() -> None:
    """P-07: and nothing is entered as succeeded but on Stripe's word."""
    assert before("RefundCompleted") == {"AnnounceRefund"}
    assert before("AnnounceRefund") == {"RecordRefund", "RecordSettledElsewhere"}
    assert before("RecordRefund") == {"RefundStatus?"}
    for state in ("RecordRefund", "RecordSettledElsewhere"):
        assert {catch["Next"] for catch in STATES[state]["Catch"]} == {"NotifyDefect"}


def test_no_money_moves_before_its_amount_is_reserved() -> None:
    """D-13."""
    assert before("CreateRefund") == {"ReserveRefund", "OperatorAnswer?"}
    assert "CreateRefund" not in ways_from("AlreadyFailed?", without="ReserveRefund") - ways_from("AwaitOperator")


def test_a_refund_is_refused_only_where_nothing_has_been_changed() -> None:
    (refusal,) = [catch for catch in STATES["ReserveRefund"]["Catch"] if catch["Next"] == "RefundRefused"]
    assert refusal["ErrorEquals"] == ["PaymentDisputed", "NotEnoughLeft", "NotRefundable"]
    assert before("RefundRefused") == {"ReserveRefund"}


@pytest.mark.parametrize(("state", "seconds"), [("AwaitRefundSettlement", 86_400), ("AwaitOperator", 3 * 86_400)])
def test_a_wait_that_nobody_ends_ends_by_itself(state: str, seconds: int) -> None:
    """D-32 P-11: Stripe is asked after a day, operators are told again after three; the execution outlives both."""
    assert STATES[state]["TimeoutSeconds"] == seconds
    (late,) = [catch["Next"] for catch in STATES[state]["Catch"] if catch["ErrorEquals"] == ["States.Timeout"]]
    assert late == {"AwaitRefundSettlement": "CheckRefund", "AwaitOperator": "NotifyOperators"}[state]
    assert DEFINITION["TimeoutSeconds"] == 364 * 86_400


def test_a_wait_begins_only_while_the_entry_still_waits() -> None:
    """P-12: and not when news of it was noted meanwhile."""
    settlement, operator = (STATES[f"Await{of}"]["Arguments"] for of in ("RefundSettlement", "Operator"))
    assert "refunds.#id.#status IN (:pending, :action)" in settlement["ConditionExpression"]
    assert "attribute_not_exists(refunds.#id.check_requested_at)" in settlement["ConditionExpression"]
    assert settlement["ExpressionAttributeValues"][":pending"] == {"S": "pending"}
    assert "refunds.#id.#status = :failed" in operator["ConditionExpression"]
    assert operator["ExpressionAttributeValues"][":failed"] == {"S": "failed"}
    for state in ("AwaitRefundSettlement", "AwaitOperator"):
        (refused,) = [of for of in STATES[state]["Catch"] if "ConditionalCheckFailed" in of["ErrorEquals"][0]]
        assert refused["Next"] == "CheckRefund"


def test_every_try_after_the_first_is_a_persons() -> None:
    """D-13: the number of the try is part of the idempotency key."""
    raising = [
        (name, rule["Assign"]["try"])
        for name, state in STATES.items()
        for rule in [state, *state.get("Choices", []), *state.get("Catch", [])]
        if "try" in rule.get("Assign", {})
    ]
    assert raising == [
        ("AlreadyFailed?", 1),
        ("AlreadyFailed?", 1),
        ("RecordRefundFailure", "{% $max([$try, $states.result.Payload.attempt]) %}"),
        ("OperatorAnswer?", "{% $try + 1 %}"),
    ]
