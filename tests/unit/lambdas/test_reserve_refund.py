"""lambdas.reserve_refund: what it records in the ledger before money moves."""

import pytest

from lambdas import reserve_refund
from shared.domain.errors import NotEnoughLeft
from tests.harness.booking_states import BookingStates
from tests.harness.builders import capture, payment


def test_a_second_run_returns_the_entry_and_reserves_nothing_more(reserved: BookingStates) -> None:
    before = reserved.item
    pi = before["stripe_payment_intent_id"]
    order = {"kind": "goodwill", "payment_intent": pi, "amount": 500, "requested_by": "operator"}
    assert reserved.run_refund(reserve_refund, **order) == {"status": "pending", "amount": 500}
    assert reserved.item == before


@pytest.mark.defect("D-31")
def test_unapplied_money_that_the_dashboard_refunded_is_marked_although_nothing_is_left(booking: BookingStates) -> None:
    """The dashboard's refund may still fail, and then the webhook must refund the money."""
    booking.replace(payment(captures={"pi_1": capture(refundable=0)}))
    with pytest.raises(NotEnoughLeft):
        booking.run_refund(reserve_refund, kind="unapplied", payment_intent="pi_1", requested_by="workflow")
    assert booking.item["captures"]["pi_1"]["role"] == "unapplied"
    assert booking.item.get("refunds", {}) == {}
