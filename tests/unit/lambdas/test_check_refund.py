"""lambdas.check_refund: what it reads from Stripe about a pending refund."""

import pytest

from lambdas import check_refund, create_refund
from shared.domain.models import iso
from tests.harness.booking_states import BookingStates
from tests.harness.builders import NOW


@pytest.fixture
def pending(reserved: BookingStates) -> BookingStates:
    """The refund G1 is created at Stripe, and an event has asked for a check."""
    reserved.run_refund(create_refund, attempt=1)
    reserved.change(refunds={"G1": reserved.entry | {"check_requested_at": iso(NOW)}})
    reserved.stripe.requests.clear()
    return reserved


def test_it_returns_the_status_at_stripe_and_removes_the_request(pending: BookingStates) -> None:
    before = pending.entry
    [refund] = pending.stripe.all("refund")
    expected = {"status": "succeeded", "amount": 500, "stripe_refund_id": refund["id"]}
    for _ in range(2):
        assert pending.run_refund(check_refund) == expected
    del before["check_requested_at"]
    assert pending.entry == before


def test_a_final_entry_is_returned_without_calling_stripe(pending: BookingStates) -> None:
    pending.change(refunds={"G1": pending.entry | {"status": "failed", "failure_reason": "lost_or_stolen_card"}})
    answer = pending.run_refund(check_refund)
    assert (answer["status"], answer["failure_reason"]) == ("failed", "lost_or_stolen_card")
    assert pending.requested == []


def test_a_refund_that_stripe_canceled_has_that_as_its_reason(pending: BookingStates) -> None:
    [refund] = pending.stripe.all("refund")
    refund["status"] = "canceled"
    answer = pending.run_refund(check_refund)
    assert (answer["status"], answer["failure_reason"]) == ("canceled", "canceled")


def test_a_refund_that_stripe_does_not_list_raises_lookup_error(pending: BookingStates) -> None:
    pending.change(refunds={"G1": pending.entry | {"stripe_refund_id": "re_unknown"}})
    with pytest.raises(LookupError):
        pending.run_refund(check_refund)


def test_a_missing_entry_raises_lookup_error(booking: BookingStates) -> None:
    with booking.fails_unchanged(LookupError):
        booking.run_refund(check_refund)
