"""shared.adapters.bookings: transactions that change the refund ledger together with other items."""

from decimal import Decimal
from typing import Any

import pytest

from shared.adapters import bookings, payment_items, refund_ledger
from shared.domain.errors import ReservationInvalid
from shared.domain.models import iso
from tests.harness.builders import NOW, TOTAL, capture, payment, refund
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table


@pytest.mark.defect("D-32")
def test_a_settled_refund_does_not_hide_another_one_from_the_reconciler(stored: Stored) -> None:
    """The refund of an unapplied capture, recorded since the ledger was read, changes no total that would show it."""
    captures = {"pi_1": capture(role="booking"), "pi_2": capture()}
    full = refund(amount=TOTAL)
    before = payment(status="completed", captures=captures, refunds={"G1": full}, refund_pending_amount=TOTAL)
    stored.payment(before)
    stored.reservation()
    unapplied = refund(kind="unapplied", payment_intent="pi_2", amount=TOTAL)
    booking = bookings.read_booking("RES-1")
    assert bookings.reserve_refund(booking, "REF-pi_2", unapplied, cancel_stay=False, now=NOW)
    settled = refund(amount=TOTAL, status="succeeded", settled_at=NOW)
    assert not refund_ledger.update_refund(before, "G1", settled, now=NOW)
    now = payment_items.read_payment("PAY-RES-1")
    assert now is not None
    assert refund_ledger.update_refund(now, "G1", settled, now=NOW)
    item = stored.get("payments", "PAY-RES-1")
    assert (item["status"], item["due_at"]) == ("refunded", "2026-11-25T15:00:00.000Z")
    assert item["refunded_at"] == iso(NOW)


def test_a_refund_is_entered_once_although_it_moves_no_money_and_another_is_pending(stored: Stored) -> None:
    """Nothing of the totals would show it."""
    captures = {"pi_1": capture(role="booking", refundable=TOTAL - 500)}
    stored.payment(payment(status="completed", captures=captures, refunds={"G1": refund()}, refund_pending_amount=500))
    stored.reservation(status="checked_in")
    booking = bookings.read_booking("RES-1")
    nothing = refund(kind="cancellation", amount=0, status="succeeded", settled_at=NOW)
    entered = [bookings.reserve_refund(booking, "G2", nothing, cancel_stay=False, now=NOW) for _ in range(2)]
    assert entered == [True, False]


@pytest.mark.defect("R-13")
def test_attributes_of_the_platform_are_ignored_whatever_they_hold(stored: Stored) -> None:
    """A nightly price or a tax rate may be a fraction; only our own attributes must be whole numbers."""
    stored.reservation(tax_rate=Decimal("0.1"), guests={"adults": Decimal("2.5")})
    stored.put("availability", {**stored.get("availability", "2026-12-20"), "price": Decimal("89.95")})
    booking = bookings.read_booking("RES-1")
    assert (booking.reservation.total_amount, booking.nights_held) == (TOTAL, True)
    stored.reservation(total_amount=Decimal("1125.5"))
    with pytest.raises(ReservationInvalid, match=r"^reservation RES-1: total_amount: \w"):
        bookings.read_booking("RES-1")


def test_a_deleted_reservation_is_that_of_the_customer_who_paid(stored: Stored) -> None:
    stored.payment(payment(customer_id="guest-1"))
    stored.delete("reservations", "RES-1")
    assert bookings.read_booking("RES-1").reservation.customer_id == "guest-1"


def test_an_unknown_booking_raises_lookup_error(stored: Stored) -> None:
    with pytest.raises(LookupError, match="no reservation RES-9"):
        bookings.read_booking("RES-9")


@in_table()
@pytest.mark.defect("R-13")
def test_an_unreadable_reservation_is_refused_by_attribute_without_its_values(
    stored: Stored, changes: dict[str, Any], problems: dict[str, str]
) -> None:
    stored.reservation(**changes)
    with pytest.raises(ReservationInvalid) as raised:
        bookings.read_booking("RES-1")
    assert raised.value.problems == problems
    assert not any(str(value) in str(raised.value) for value in changes.values() if value != 1)
