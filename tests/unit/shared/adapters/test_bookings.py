"""shared.adapters.bookings: transactions that change the refund ledger together with other items."""

import pytest

from shared.adapters import bookings, payment_items, refund_ledger
from shared.adapters.dynamodb import to_item
from tests.harness.builders import NOW, TOTAL, capture, payment, refund
from tests.harness.stored_tables import Stored


@pytest.mark.defect("D-32")
def test_a_settled_refund_does_not_hide_another_one_from_the_reconciler(stored: Stored) -> None:
    """The refund of an unapplied capture, recorded since the ledger was read, changes no total that would show it."""
    captures = {"pi_1": capture(role="booking"), "pi_2": capture()}
    before = payment(status="completed", captures=captures, refunds={"G1": refund()}, refund_pending_amount=500)
    stored.put("payments", to_item(before) | {"refunding": "yes"})
    stored.reservation()
    unapplied = refund(kind="unapplied", payment_intent="pi_2", amount=TOTAL)
    booking = bookings.read_booking("RES-1")
    assert bookings.reserve_refund(booking, "REF-pi_2", unapplied, capture=capture(), cancel_stay=False, now=NOW)
    settled = refund(status="succeeded", settled_at=NOW)
    assert not refund_ledger.update_refund(before, "G1", settled, now=NOW)
    now = payment_items.read_payment("PAY-RES-1")
    assert now is not None
    assert refund_ledger.update_refund(now, "G1", settled, now=NOW)
    assert stored.get("payments", "PAY-RES-1")["refunding"] == "yes"
