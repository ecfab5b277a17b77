"""shared.contracts.states: inputs of executions, built from what is stored, and the same text for the same input."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.states import (
    OpenedAttempt,
    PaymentExecutionInput,
    RefundExecutionInput,
    RefundFailureInput,
    RefundInput,
    ReserveRefundInput,
)
from tests.harness.builders import attempt, closed, opening, paying, payment, refund
from tests.harness.tables import in_table

BOOKING = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1"}
UNAPPLIED = BOOKING | {
    "refund_id": "REF-pi_1",
    "kind": "unapplied",
    "payment_intent": "pi_1",
    "requested_by": "webhook",
}
FAILURE = BOOKING | {"refund_id": "G1", "failed_stripe_refund_id": "re_1", "failure_reason": "lost"}


def test_the_input_of_a_payment() -> None:
    """Literal, because StartExecution succeeds for a running execution only if the input is the same text."""
    assert PaymentExecutionInput.of(payment()).to_json() == (
        '{"cancel_url": "https://stay.example/booking/cancel", "customer_id": "", "due_shard": "d", '
        '"hold_expires_at": "2026-11-25T13:00:00.000Z", "payment_id": "PAY-RES-1", "reservation_id": "RES-1", '
        '"success_url": "https://stay.example/booking/success"}'
    )


def test_the_input_of_an_unapplied_payments_refund() -> None:
    assert RefundExecutionInput.unapplied(payment(), "pi_1", "REF-pi_1", requested_by="webhook").to_json() == (
        '{"kind": "unapplied", "payment_id": "PAY-RES-1", "payment_intent": "pi_1", "refund_id": "REF-pi_1", '
        '"requested_by": "webhook", "reservation_id": "RES-1"}'
    )


@in_table()
def test_a_replacement_execution_gets_the_refund_as_the_ledger_has_it(
    entry: dict[str, Any], expected: dict[str, Any]
) -> None:
    item = payment(refunds={"G1": refund(**entry)})
    fields = BOOKING | {"refund_id": "G1", "kind": "goodwill", "payment_intent": "pi_1", "amount": 500}
    fields |= {"reason_public": None}
    assert RefundExecutionInput.of(item, "G1").model_dump() == fields | expected


@pytest.mark.parametrize(
    ("stripe_refund_id", "reason", "expected"),
    [("re_1", "lost", FAILURE), (None, None, FAILURE | {"failed_stripe_refund_id": "", "failure_reason": "unknown"})],
)
def test_the_input_of_a_failed_refund(stripe_refund_id: Any, reason: Any, expected: dict[str, Any]) -> None:
    """The state machine has no null: an empty id means that Stripe gave none."""
    failure = RefundFailureInput.of(payment(), "G1", stripe_refund_id=stripe_refund_id, reason=reason)
    assert failure.model_dump() == expected


@pytest.mark.parametrize(("given", "form"), [(UNAPPLIED, RefundExecutionInput), (FAILURE, RefundFailureInput)])
def test_the_input_of_a_former_execution_is_read_back(given: dict[str, Any], form: type[RefundInput]) -> None:
    parsed = RefundInput.parse(given)
    assert type(parsed) is form
    assert parsed.model_dump(exclude_none=True) == given


@pytest.mark.parametrize(
    "wrong",
    [{"amount": "500"}, {"email": "ada@guests.example"}, {"refund_id": "a b"}, {"refund_id": "r" * 81}, {"kind": "x"}],
)
def test_an_input_with_other_fields_or_types_is_refused(wrong: dict[str, Any]) -> None:
    assert ReserveRefundInput.model_validate(UNAPPLIED | {"execution": "REF-pi_1"}).amount is None
    with pytest.raises(ValidationError):
        ReserveRefundInput.model_validate(UNAPPLIED | {"execution": "REF-pi_1"} | wrong)


def test_a_published_attempt_is_the_current_one_while_it_is_open() -> None:
    published = OpenedAttempt.published(paying())
    assert published is not None
    assert (published.key, published.session_id) == ("1", "cs_1")
    assert published.deadline == "2026-11-24T15:20:00.000Z"


@pytest.mark.parametrize("current", [opening(), closed(), attempt(checkout_url=None), None])
def test_no_other_attempt_is_published(current: Any) -> None:
    attempts = {} if current is None else {"1": current}
    assert OpenedAttempt.published(paying(attempts=attempts)) is None
