"""Refunds that fail, at once or after their success: an operator always decides, and none is shown as done."""

from collections import Counter
from typing import Any

import pytest

from tests.harness.booking_driver import REFUND_FAILS_LATER, BookingDriver
from tests.harness.running_stack import RunningStack

FAILED = ["AlreadyFailed?", "ReserveRefund", "CreateRefund", "RefundStatus?"]
TO_AN_OPERATOR = ["RecordRefundFailure", "NotifyOperators", "AwaitOperator"]
DONE = ["RefundStatus?", "RecordRefund", "AnnounceRefund", "RefundCompleted"]


def fail_refund(stack: RunningStack) -> BookingDriver:
    """A cancelled stay whose refund fails at once and waits for an operator."""
    booking = stack.reserve_paid()
    stack.stripe.refund_status = "failed"
    assert booking.refund().body["status"] == "failed"
    stack.stripe.refund_status = None
    booking.wait_refund_in("AwaitOperator")
    return booking


@pytest.mark.defect("P-07")
def test_a_failed_refund_waits_for_an_operator_with_its_amount_reserved(stack: RunningStack) -> None:
    """The stay is cancelled all the same, and no other refund takes the amount meanwhile."""
    booking = fail_refund(stack)
    assert booking.refund_execution().visited == FAILED + TO_AN_OPERATOR
    assert booking.entry()["status"] == "failed"
    assert booking.entry()["failure_reason"] == "insufficient_funds"
    assert booking.ledger == ("completed", 0, 0, 0)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")
    assert [refund["status"] for refund in booking.status()["refunds"]] == ["failed"]
    assert booking.refund_goodwill(1).outcome == (409, "REFUND_IN_PROGRESS")
    assert booking.refund().outcome == (202, "failed")
    (message,) = stack.notifications(booking.cancellation_id)
    assert message.startswith(
        f"RefundFailed: refund {booking.cancellation_id} of reservation {booking.id} failed (insufficient_funds). "
    )
    assert f"POST /payments/{booking.payment_id}/refunds/{booking.cancellation_id}/resolution" in message
    (event,) = booking.published("RefundFailed")
    assert (event["refund_id"], event["amount"]) == (booking.cancellation_id, 45_001)
    assert event["reason"] == "insufficient_funds"
    assert booking.published("RefundCompleted") == []


@pytest.mark.defect("P-07")
def test_operators_may_retry(stack: RunningStack) -> None:
    """The retry has its own idempotency key and uses the reserved amount."""
    booking = fail_refund(stack)
    answer = booking.resolve(booking.cancellation_id, "retry", note="the account is topped up")
    assert answer.outcome == (200, "succeeded")
    assert booking.wait_for_refund_end().visited == [*FAILED, *TO_AN_OPERATOR, "OperatorAnswer?", "CreateRefund", *DONE]
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    entry = booking.entry()
    assert (entry["try"], entry["note"]) == (2, "the account is topped up")
    assert not {"failure_reason", "awaiting", "task_token"} & entry.keys()


def test_a_retry_that_fails_waits_for_an_operator_again(stack: RunningStack) -> None:
    booking = fail_refund(stack)
    stack.stripe.refund_status = "failed"
    assert booking.resolve(booking.cancellation_id, "retry").body["status"] == "failed"
    booking.wait_refund_in("AwaitOperator")
    assert booking.refunds_at_stripe() == [("failed", 45_001)] * 2
    assert len(stack.notifications(booking.cancellation_id)) == 2
    stack.stripe.refund_status = None
    assert booking.resolve(booking.cancellation_id, "retry").body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


@pytest.mark.defect("P-07")
def test_operators_may_settle_it_elsewhere(stack: RunningStack) -> None:
    """Then it is done without Stripe, and the ledger says so."""
    booking = fail_refund(stack)
    answer = booking.resolve(booking.cancellation_id, "settled_elsewhere", note="bank transfer 4711")
    assert answer.outcome == (200, "settled_elsewhere")
    assert booking.wait_for_refund_end().visited == [
        *FAILED,
        *TO_AN_OPERATOR,
        "OperatorAnswer?",
        "RecordSettledElsewhere",
        "AnnounceRefund",
        "RefundCompleted",
    ]
    assert booking.refunds_at_stripe() == [("failed", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.entry()["note"] == "bank transfer 4711"
    assert booking.status()["refunds"][0]["status"] == "settled_elsewhere"


@pytest.mark.defect("R-08")
def test_operators_may_repeat_it_in_the_dashboard(stack: RunningStack) -> None:
    """Its event settles the refund and ends the wait; the amount is counted once."""
    booking = fail_refund(stack)
    stack.stripe.dashboard_refund(booking.payment_intent)
    assert booking.wait_for_refund_end().status == "SUCCEEDED"
    assert booking.resolve(booking.cancellation_id, "settled_elsewhere").outcome == (409, "NOTHING_TO_RESOLVE")
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("succeeded", 45_001)]
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.status()["refunds"][0]["status"] == "succeeded"


@pytest.mark.defect("D-31", "P-07")
def test_a_refund_that_fails_after_its_success_is_reversed_everywhere(stack: RunningStack) -> None:
    """As with the card 4000000000005126; no execution waits any more, so one is started."""
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    assert booking.refund().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    refund = booking.entry()["stripe_refund_id"]
    stack.stripe.settle_refund(refund, "failed")

    booking.wait_refund_in("AwaitOperator", f"failed-{refund}")
    assert booking.refund_execution(f"failed-{refund}").visited == ["AlreadyFailed?", *TO_AN_OPERATOR]
    assert booking.ledger == ("completed", 0, 0, 0)
    assert "refunded_at" not in booking.payment
    entry = booking.entry()
    assert (entry["status"], entry["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert "settled_at" not in entry
    assert booking.status()["is_refunded"] is False
    assert booking.status()["has_completed_payment"] is True
    assert len(stack.notifications(booking.cancellation_id)) == 1
    assert len(booking.published("RefundFailed")) == 1


@pytest.mark.defect("P-07", "D-10")
def test_a_failure_takes_effect_once_however_often_stripe_reports_it(stack: RunningStack) -> None:
    """`refund.updated` and `refund.failed`, each of them twice, and the success again afterwards."""
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.faults.webhooks = "duplicate"
    booking.refund()
    stack.stripe.webhooks.wait_until_idle()
    refund = booking.entry()["stripe_refund_id"]
    stack.stripe.settle_refund(refund, "failed")
    booking.wait_refund_in("AwaitOperator", f"failed-{refund}")
    stack.resend_event_and_wait("refund.created", refund)
    assert booking.ledger == ("completed", 0, 0, 0)
    assert len(stack.notifications(booking.cancellation_id)) == 1


@pytest.mark.defect("P-07")
def test_each_failure_after_a_success_needs_one_answer(stack: RunningStack) -> None:
    """The second execution knows how many attempts the first ones made."""
    booking = fail_refund(stack)
    booking.resolve(booking.cancellation_id, "retry")
    booking.wait_for_refund_end()
    second = booking.entry()["stripe_refund_id"]
    stack.stripe.settle_refund(second, "failed")
    booking.wait_refund_in("AwaitOperator", f"failed-{second}")
    assert booking.resolve(booking.cancellation_id, "retry").body["status"] == "succeeded"
    assert booking.wait_for_refund_end(f"failed-{second}").status == "SUCCEEDED"
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("failed", 45_001), ("succeeded", 45_001)]
    assert booking.entry()["try"] == 3
    assert booking.ledger == ("refunded", 45_001, 0, 0)


@pytest.mark.defect("P-14")
def test_a_refund_that_stripe_refuses_is_recorded_and_reported_once(stack: RunningStack) -> None:
    """The charge is disputed, and no event has reported that."""
    booking = stack.reserve_paid()
    booking.faults.webhooks = "drop"
    dispute = stack.stripe.open_dispute(booking.payment_intent)
    assert booking.refund().body["status"] == "failed"
    booking.wait_refund_in("AwaitOperator")
    assert booking.entry()["failure_reason"] == "charge_disputed"
    assert booking.refund_execution().visited == FAILED + TO_AN_OPERATOR
    assert len(stack.notifications(booking.cancellation_id)) == 1
    assert len(booking.published("RefundFailed")) == 1
    stack.stripe.close_dispute(dispute["id"], "won")
    assert booking.resolve(booking.cancellation_id, "retry").body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_a_refund_that_waits_for_no_operator_cannot_be_resolved(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    assert booking.resolve(booking.cancellation_id, "retry").outcome == (404, "NOT_FOUND")
    booking.refund()
    before = booking.payment
    assert booking.resolve(booking.cancellation_id, "retry").outcome == (409, "NOTHING_TO_RESOLVE")
    assert booking.resolve(booking.cancellation_id, "settled_elsewhere").outcome == (409, "NOTHING_TO_RESOLVE")
    assert booking.resolve("none", "retry").outcome == (404, "NOT_FOUND")
    assert booking.payment == before


@pytest.mark.parametrize(
    "body", [{}, {"answer": "done"}, {"answer": "retry", "note": "n" * 501}, {"answer": "retry", "x": 1}]
)
def test_a_malformed_resolution_is_refused(stack: RunningStack, body: dict[str, Any]) -> None:
    answer = stack.call("POST", "RES-none/refunds/none/resolution", stack.operator, body)
    assert answer.outcome == (400, "INVALID_REQUEST")


@pytest.mark.defect("D-13")
def test_two_operators_at_once_cause_one_retry(stack: RunningStack) -> None:
    booking = fail_refund(stack)
    calls = [stack.in_background(lambda: booking.resolve(booking.cancellation_id, "retry")) for _ in range(2)]
    answers = Counter(call.result().status for call in calls)
    assert answers.keys() <= {200, 409}
    assert answers[200] >= 1
    booking.wait_for_refund_end()
    assert booking.refunds_at_stripe() == [("failed", 45_001), ("succeeded", 45_001)]
