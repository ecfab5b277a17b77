"""lambdas.confirm_reservation: what it confirms, what it refuses, and what a lost answer or a race changes."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from shared.adapters import bookings
from shared.adapters.dynamodb import to_item
from shared.domain.errors import BookingLost, StoreBusy
from shared.domain.models import Capture, Dispute, Payment, iso
from tests.harness.booking_states import BookingStates
from tests.harness.builders import HOUR, NOW, TOTAL, capture, closed, paying
from tests.harness.tables import in_table
from tests.harness.transaction_faults import BUSY, Fault, overtaken_by, refused, unanswered

PAID = {
    "version": 1,
    "event_id": "PaymentConfirmed-PAY-RES-1",
    "at": "2026-11-24T15:00:00.000Z",
    "reservation_id": "RES-1",
    "payment_id": "PAY-RES-1",
    "payment_intent": "pi_1",
    "amount": 112_500,
    "currency": "EUR",
}


def paid(**changes: Any) -> Payment:
    """A payment whose session was paid."""
    fields: dict[str, Any] = {"attempts": {"1": closed(status="paid")}, "captures": {"pi_1": capture()}}
    return paying(**(fields | changes))


@pytest.fixture
def captured(booking: BookingStates) -> BookingStates:
    """A booking whose money has been captured."""
    booking.replace(paid(awaiting="payment", task_token="token", token_sequence=7))
    return booking


@pytest.mark.defect("D-01", "D-15")
def test_reservation_and_capture_are_assigned_to_each_other(captured: BookingStates) -> None:
    assert captured.confirm()["event"] == PAID
    reservation = captured.reservation
    assert (reservation["status"], reservation["payment_status"]) == ("confirmed", "completed")
    assert reservation["payment_id"] == "PAY-RES-1"
    after = captured.item
    assert (after["status"], after["amount"], after["currency"]) == ("completed", 112_500, "EUR")
    assert (after["provider"], after["provider_transaction_id"], after["payment_method"]) == ("stripe", "pi_1", "card")
    assert (after["stripe_payment_intent_id"], after["stripe_charge_id"]) == ("pi_1", "ch_1")
    assert after["captures"]["pi_1"]["role"] == "booking"
    assert after["captures"]["pi_1"]["refundable"] == 112_500
    assert after["completed_at"] == "2026-11-24T15:00:00.000Z"
    assert after["token_sequence"] == 7
    assert not {"task_token", "awaiting"} & after.keys()
    assert captured.night("2026-12-20")["status"] == "booked"


def test_a_second_run_returns_the_same_and_changes_nothing(captured: BookingStates) -> None:
    first = captured.confirm()
    after = captured.everything
    captured.clock.advance(HOUR)
    assert captured.confirm() == first
    assert captured.everything == after


@pytest.mark.parametrize("reservation_status", ["cancelled", "completed"])
@pytest.mark.parametrize("status", ["completed", "partially_refunded", "refunded"])
def test_a_confirmed_payment_stays_confirmed_whatever_happened_since(
    captured: BookingStates, reservation_status: str, status: str
) -> None:
    captured.confirm()
    captured.change(status=status)
    captured.stored.reservation(status=reservation_status)
    assert captured.confirm()["event"] == PAID


@pytest.mark.defect("P-03")
def test_a_committed_transaction_whose_answer_was_lost_counts(captured: BookingStates, break_transaction: Any) -> None:
    break_transaction(unanswered)
    assert captured.confirm()["event"] == PAID
    assert captured.reservation["status"] == "confirmed"


# The last one is refused for conditions that hold when the booking is read again.
REFUSALS = BUSY | {"conditions that hold": refused("TransactionCanceledException", "ConditionalCheckFailed")}


@pytest.mark.parametrize("fault", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_transaction_in_conflict_or_throttled_is_repeated(
    captured: BookingStates, break_transaction: Any, fault: Fault
) -> None:
    """It must not refund the money: nothing that is stored forbids the booking."""
    break_transaction(fault)
    with captured.fails_unchanged(StoreBusy):
        captured.confirm()
    assert captured.confirm()["event"] == PAID


LOST: dict[str, Callable[[BookingStates], None]] = {
    "cancelled by the platform": lambda of: of.stored.reservation(status="cancelled"),
    "confirmed by another": lambda of: of.stored.reservation(status="confirmed"),
    "expired": lambda of: of.stored.reservation(status="expired"),
    "repriced by a cent": lambda of: of.stored.reservation(total_amount=TOTAL + 1),
    "a night booked by another": lambda of: of.stored.night("2026-12-21", "RES-2"),
    "a night blocked": lambda of: of.stored.night("2026-12-21", "RES-1", "blocked"),
    "a night missing": lambda of: of.stored.delete("availability", "2026-12-20"),
    "cancel requested": lambda of: of.change(cancel_requested_at=iso(NOW)),
    "released": lambda of: of.change(status="expired"),
    "a cent refunded": lambda of: of.change(captures={"pi_1": to_item(capture(refundable=TOTAL - 1))}),
}
every_way_to_lose = pytest.mark.parametrize("lose", LOST.values(), ids=LOST.keys())


@pytest.mark.defect("D-04", "P-01")
@every_way_to_lose
def test_a_lost_booking_is_not_confirmed(captured: BookingStates, lose: Callable[[BookingStates], None]) -> None:
    lose(captured)
    with captured.fails_unchanged(BookingLost):
        captured.confirm()


def test_money_that_became_unapplied_in_between_confirms_nothing(
    captured: BookingStates, break_transaction: Any
) -> None:
    unapplied = {"pi_1": to_item(capture(role="unapplied"))}
    break_transaction(overtaken_by(lambda: captured.change(captures=unapplied)))
    with pytest.raises(BookingLost):
        captured.confirm()
    assert captured.reservation["status"] == "pending"


@pytest.mark.defect("D-34")
@every_way_to_lose
def test_a_booking_lost_between_reading_and_writing_is_not_confirmed(
    captured: BookingStates, break_transaction: Any, lose: Callable[[BookingStates], None]
) -> None:
    """The conditions of the transaction itself prevent it."""
    break_transaction(overtaken_by(lambda: lose(captured)))
    with pytest.raises(BookingLost):
        captured.confirm()
    assert captured.item["status"] != "completed"
    assert "role" not in captured.item["captures"]["pi_1"]


@pytest.mark.defect("D-06")
@in_table()
def test_money_that_does_not_match_confirms_nothing(captured: BookingStates, money: Capture) -> None:
    captured.replace(paid(captures={"pi_1": money}))
    with pytest.raises(BookingLost):
        captured.confirm()
    assert captured.reservation["status"] == "pending"


@pytest.mark.defect("R-02")
@pytest.mark.parametrize(
    ("status", "confirmed"),
    [("needs_response", False), ("lost", False), ("won", True), ("warning_needs_response", True)],
)
def test_money_that_the_bank_has_taken_back_confirms_nothing(
    captured: BookingStates, status: str, *, confirmed: bool
) -> None:
    closed_at = NOW if status in {"lost", "won"} else None
    dispute = Dispute(status=status, payment_intent="pi_1", amount=TOTAL, opened_at=NOW, closed_at=closed_at)
    captured.replace(paid(disputes={"du_1": dispute}))
    with nullcontext() if confirmed else pytest.raises(BookingLost):
        captured.confirm()
    assert captured.reservation["status"] == ("confirmed" if confirmed else "pending")


@pytest.mark.parametrize("pi", ["pi_2", ""])
def test_an_unknown_capture_raises_lookup_error(captured: BookingStates, pi: str) -> None:
    with pytest.raises(LookupError):
        captured.confirm(pi)
    assert captured.reservation["status"] == "pending"


def test_a_stay_of_90_nights_fits_into_one_transaction(captured: BookingStates) -> None:
    captured.stored.reservation(check_out="2027-03-20")
    nights = bookings.read_booking("RES-1").reservation.nights
    for first in range(0, 90, 25):
        held = [{"date": night, "status": "booked", "reservation_id": "RES-1"} for night in nights[first : first + 25]]
        captured.stored.put_all({"availability": held})
    assert captured.confirm()["event"]["amount"] == 112_500
    captured.stored.reservation(check_out="2027-03-20")
    captured.change(status="pending")
    assert len(captured.release()["event"]["nights"]) == 90


def test_a_missing_payment_item_raises_lookup_error(booking: BookingStates) -> None:
    booking.stored.delete("payments", "PAY-RES-1")
    with booking.fails_unchanged(LookupError):
        booking.confirm()
