"""What operators refund, and who may: goodwill, and cancellations with an amount of their own."""

from typing import Any

import pytest

from tests.harness.booking_driver import BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.tables import in_table
from tests.workflows.refund.conftest import NOTHING


def test_goodwill_leaves_the_booking_unchanged(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    status, body = booking.refund_goodwill(1_500)
    assert (status, body["amount"], body["refund_policy"]) == (200, 1_500, "manual_refund")
    assert body["refund_id"].startswith(f"{booking.payment_id}-")
    assert booking.ledger == ("partially_refunded", 1_500, 0, 43_501)
    assert (booking.reservation_status, booking.nights_status) == ("confirmed", "booked")
    assert booking.published("BookingCancelled") == []


@pytest.mark.defect("D-13")
def test_an_idempotency_key_stands_for_one_goodwill_refund(stack: RunningStack) -> None:
    """Whatever the case of the header's name. A key with another amount is refused; another key is another refund."""
    booking = stack.reserve_paid()
    first = booking.refund_goodwill(100, key="k")
    body = {"kind": "goodwill", "amount": 100}
    again = stack.call("POST", f"{booking.id}/refund", stack.operator, body, {"idempotency-key": "k"})
    assert again == first
    assert booking.refund_goodwill(200, key="k").outcome == (409, "REFUND_EXISTS")
    assert booking.refund_goodwill(200, key="l").status == 200
    assert booking.refunds_at_stripe() == [("succeeded", 100), ("succeeded", 200)]
    assert booking.refund_goodwill(100, key="").outcome == (400, "INVALID_REQUEST")


def test_after_goodwill_a_cancellation_refunds_at_most_what_is_left(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    booking.refund_goodwill(45_000)
    status, body = booking.refund()
    assert (status, body["amount"], body["refund_policy"]) == (200, 1, "full_refund")
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_operators_may_cancel_a_stay_with_any_amount_up_to_what_is_left(stack: RunningStack) -> None:
    booking = stack.reserve_paid(NOTHING)
    too_much = booking.refund_by_operator(45_002)
    assert too_much.outcome == (400, "REFUND_NOT_ALLOWED")
    assert too_much.body["details"] == {"refundable_amount": 45_001}
    status, body = booking.refund_by_operator(40_000)
    assert (status, body["amount"], body["refund_policy"]) == (200, 40_000, "manual_refund")
    assert booking.ledger == ("partially_refunded", 40_000, 0, 5_001)
    assert (booking.reservation_status, booking.nights_status) == ("cancelled", "available")


def everything(booking: BookingDriver) -> tuple[Any, ...]:
    return booking.payment, booking.reservation_status, booking.nights_status, booking.refunds_at_stripe()


@pytest.mark.defect("D-17", "D-19")
def test_only_its_guest_or_an_operator_refunds_a_booking(stack: RunningStack) -> None:
    """A stranger gets the same answer as for a booking that does not exist."""
    booking = stack.reserve_paid()
    before = everything(booking)
    refund = f"{booking.id}/refund"
    resolution = f"{booking.id}/refunds/{booking.cancellation_id}/resolution"
    missing = stack.call("POST", "RES-none/refund", stack.stranger)
    assert missing.outcome == (404, "NOT_FOUND")
    assert stack.call("POST", refund, stack.stranger) == missing
    assert stack.call("POST", refund, None).outcome == (401, "UNAUTHENTICATED")
    assert stack.call("POST", refund, stack.stranger, {"amount": 1}).outcome == (403, "FORBIDDEN")
    assert booking.refund(amount=1).outcome == (403, "FORBIDDEN")
    assert booking.refund(kind="goodwill").outcome == (403, "FORBIDDEN")
    for token in (booking.token, stack.stranger):
        assert stack.call("POST", resolution, token, {"answer": "retry"}).outcome == (403, "FORBIDDEN")
    assert stack.call("POST", f"{booking.id}/cancel", stack.stranger) == missing
    assert everything(booking) == before


@pytest.mark.defect("D-35")
@in_table()
def test_malformed_requests_are_refused(stack: RunningStack, body: dict[str, Any]) -> None:
    """Amounts are whole cents above zero."""
    answer = stack.call("POST", "RES-none/refund", stack.operator, body)
    assert answer.outcome == (400, "INVALID_REQUEST")
    assert list(answer.body["details"]) == list(body)
