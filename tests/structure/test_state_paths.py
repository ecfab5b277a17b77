"""Which paths through the workflows exist, and which must not."""

from typing import get_args

import pytest

from shared.contracts import states
from tests.structure.definitions import MACHINES, STATES, leading_to, of_type, reachable, state_of, transitions


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_is_reachable(machine: str) -> None:
    assert reachable(machine, MACHINES[machine]["StartAt"]) == set(MACHINES[machine]["States"])


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_every_state_leads_to_an_end(machine: str, name: str) -> None:
    ends = {of for of, state in MACHINES[machine]["States"].items() if state["Type"] in {"Succeed", "Fail"}}
    assert reachable(machine, name) & ends


def test_every_next_step_has_its_transition() -> None:
    conditions = {condition for state, condition, _ in transitions("payment") if state == "NextStep?"}
    next_steps = get_args(states.NextStepOutput.model_fields["next_step"].annotation)
    assert conditions == {*(f"$nextStep = '{next_step}'" for next_step in next_steps), "else"}


@pytest.mark.defect("D-15")
def test_a_booking_is_confirmed_only_when_that_is_the_next_step() -> None:
    assert leading_to("payment", "ConfirmReservation") == [("NextStep?", "$nextStep = 'confirm'", "ConfirmReservation")]
    assert "PaymentConfirmed" not in reachable("payment", "RecordPayment", without=frozenset({"ConfirmReservation"}))


def test_a_hold_is_released_only_when_that_is_the_next_step() -> None:
    assert leading_to("payment", "ReleaseHold") == [("NextStep?", "$nextStep = 'release_hold'", "ReleaseHold")]


@pytest.mark.parametrize(("machine", "name"), of_type("Fail"))
def test_no_execution_fails_before_the_operators_were_notified(machine: str, name: str) -> None:
    before = {state for state, _, _ in leading_to(machine, name)}
    assert before == {"NotifyOperators" if machine == "payment" else "NotifyDefect"}


# The refund workflow.


def before(name: str) -> set[str]:
    return {state for state, _, _ in leading_to("refund", name)}


def reachable_from(start: str, *, without: str) -> set[str]:
    return reachable("refund", start, without=frozenset({without}))


SUCCESSES = {name for machine, name in of_type("Succeed") if machine == "refund"}


def test_a_refund_can_succeed_in_two_ways() -> None:
    assert {"RefundCompleted", "RefundRefused"} == SUCCESSES


@pytest.mark.defect("P-07")
def test_a_failed_refund_completes_only_after_stripe_or_an_operator_says_so() -> None:
    asked = frozenset({"CreateRefund", "CheckRefund", "OperatorAnswer?"})
    assert "RefundCompleted" not in reachable("refund", "RecordRefundFailure", without=asked)
    assert "AwaitOperator" in reachable("refund", "RecordRefundFailure", without=asked)


@pytest.mark.defect("P-07")
def test_a_failed_refund_succeeds_only_after_an_operator_has_answered() -> None:
    assert reachable("refund", "RecordRefundFailure") & SUCCESSES
    assert reachable_from("RecordRefundFailure", without="AwaitOperator") & SUCCESSES == set()


@pytest.mark.defect("P-07")
def test_a_refund_fails_by_what_stripe_says_and_by_no_error() -> None:
    """This covers a status that nobody has thought of. After an error Stripe may have the refund."""
    assert state_of("refund", "RefundStatus?")["Default"] == "RecordRefundFailure"
    assert {catch["Next"] for catch in state_of("refund", "CreateRefund")["Catch"]} == {"NotifyDefect"}
    assert state_of("refund", "OperatorAnswer?")["Default"] == "NotifyOperators"


@pytest.mark.defect("P-07")
def test_a_refund_is_published_only_after_it_was_recorded() -> None:
    """It is recorded as succeeded only when Stripe says so."""
    assert before("RefundCompleted") == {"AnnounceRefund"}
    assert before("AnnounceRefund") == {"RecordRefund", "RecordSettledElsewhere"}
    assert before("RecordRefund") == {"RefundStatus?"}
    for state in ("RecordRefund", "RecordSettledElsewhere"):
        assert {catch["Next"] for catch in state_of("refund", state)["Catch"]} == {"NotifyDefect"}


@pytest.mark.defect("D-13")
def test_no_money_moves_before_its_amount_is_reserved() -> None:
    assert before("CreateRefund") == {"ReserveRefund", "OperatorAnswer?"}
    without_reservation = reachable_from("AlreadyFailed?", without="ReserveRefund")
    assert "CreateRefund" not in without_reservation - reachable("refund", "AwaitOperator")


def test_a_refund_is_refused_only_where_nothing_has_been_changed() -> None:
    (refusal,) = [catch for catch in state_of("refund", "ReserveRefund")["Catch"] if catch["Next"] == "RefundRefused"]
    assert refusal["ErrorEquals"] == ["PaymentDisputed", "NotEnoughLeft", "NotRefundable"]
    assert before("RefundRefused") == {"ReserveRefund"}


@pytest.mark.defect("D-13")
def test_only_an_operator_starts_another_attempt_to_refund() -> None:
    """The number of the attempt is part of the idempotency key."""
    assigned = [
        (name, rule["Assign"]["try"])
        for name, state in MACHINES["refund"]["States"].items()
        for rule in [state, *state.get("Choices", []), *state.get("Catch", [])]
        if "try" in rule.get("Assign", {})
    ]
    assert assigned == [
        ("AlreadyFailed?", 1),
        ("AlreadyFailed?", 1),
        ("RecordRefundFailure", "{% $max([$try, $states.result.Payload.attempt]) %}"),
        ("OperatorAnswer?", "{% $try + 1 %}"),
    ]
