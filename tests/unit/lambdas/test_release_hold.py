"""lambdas.release_hold: what it frees, what it leaves alone, and what a lost answer or a race changes."""

from typing import Any

import pytest

from lambdas import reserve_refund
from shared.adapters import bookings
from shared.domain.errors import BookedElsewhere, BookingLost, StoreBusy
from shared.domain.models import iso
from tests.harness.booking_states import BookingStates
from tests.harness.builders import HOUR, NOW, TOTAL, closed, paying
from tests.harness.transaction_faults import BUSY, Fault, overtaken_by, unanswered

NIGHTS = ["2026-12-20", "2026-12-21"]


@pytest.fixture
def unpaid(booking: BookingStates) -> BookingStates:
    """A booking whose hold is over and whose session is closed."""
    waiting: dict[str, Any] = {"awaiting": "retry", "task_token": "token", "token_sequence": 7}
    booking.replace(paying(attempts={"1": closed()}, hold_expires_at=NOW, **waiting))
    return booking


@pytest.mark.defect("D-07")
def test_the_nights_are_free_again(unpaid: BookingStates) -> None:
    assert unpaid.release()["event"]["nights"] == NIGHTS
    assert unpaid.reservation["status"] == "expired"
    for night in NIGHTS:
        assert unpaid.night(night) == {"date": night, "status": "available"}
    after = unpaid.item
    assert (after["status"], after["token_sequence"]) == ("expired", 7)
    assert not {"task_token", "awaiting"} & after.keys()


def test_a_second_run_returns_the_same_and_changes_nothing(unpaid: BookingStates) -> None:
    """Not even when the nights have been booked again."""
    first = unpaid.release()
    unpaid.stored.night("2026-12-20", "RES-2")
    after = unpaid.everything
    unpaid.clock.advance(HOUR)
    assert unpaid.release() == first
    assert unpaid.everything == after


def test_the_reservation_is_cancelled_when_the_guest_asked_for_it(unpaid: BookingStates) -> None:
    unpaid.change(cancel_requested_at=iso(NOW))
    unpaid.release()
    assert unpaid.reservation["status"] == "cancelled"
    assert unpaid.item["status"] == "expired"


def test_a_night_booked_by_another_is_left_alone(unpaid: BookingStates) -> None:
    unpaid.stored.night("2026-12-21", "RES-2")
    unpaid.release()
    assert unpaid.night("2026-12-20")["status"] == "available"
    assert unpaid.night("2026-12-21") == {"date": "2026-12-21", "status": "booked", "reservation_id": "RES-2"}
    assert unpaid.reservation["status"] == "expired"


@pytest.mark.defect("D-34")
@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_a_reservation_that_the_platform_ended_keeps_its_status(unpaid: BookingStates, status: str) -> None:
    """Nights that the platform left behind are freed."""
    unpaid.stored.reservation(status=status)
    unpaid.release()
    assert unpaid.reservation["status"] == status
    assert unpaid.night("2026-12-20")["status"] == "available"
    assert unpaid.item["status"] == "expired"


@pytest.mark.defect("R-10", "R-13")
@pytest.mark.parametrize("status", ["confirmed", "completed", "checked_in"])
def test_a_reservation_confirmed_by_the_platform_keeps_its_nights_and_ends_the_payment(
    unpaid: BookingStates, status: str
) -> None:
    unpaid.stored.reservation(status=status)
    for _ in range(2):
        with pytest.raises(BookedElsewhere):
            unpaid.release()
        assert unpaid.reservation["status"] == status
        assert unpaid.night("2026-12-20")["status"] == "booked"
        assert unpaid.item["status"] == "expired"


@pytest.mark.parametrize("status", ["completed", "partially_refunded", "refunded"])
def test_a_paid_booking_is_never_released(unpaid: BookingStates, status: str) -> None:
    unpaid.change(status=status)
    with unpaid.fails_unchanged(BookedElsewhere):
        unpaid.release()


@pytest.mark.defect("D-34")
@pytest.mark.parametrize("fault", BUSY.values(), ids=BUSY.keys())
def test_a_transaction_in_conflict_or_throttled_is_repeated(
    unpaid: BookingStates, break_transaction: Any, fault: Fault
) -> None:
    """All or nothing is written, so that no night stays blocked."""
    break_transaction(fault)
    with unpaid.fails_unchanged(StoreBusy):
        unpaid.release()
    assert unpaid.release()["event"]["nights"] == NIGHTS


def test_a_committed_transaction_whose_answer_was_lost_counts(unpaid: BookingStates, break_transaction: Any) -> None:
    break_transaction(unanswered)
    with pytest.raises(StoreBusy):
        unpaid.release()
    after = unpaid.everything
    assert unpaid.release()["event"]["nights"] == NIGHTS
    assert unpaid.everything == after


def test_a_transaction_that_lost_a_race_is_built_again(unpaid: BookingStates, break_transaction: Any) -> None:
    break_transaction(overtaken_by(lambda: unpaid.stored.night("2026-12-21", "RES-2")))
    unpaid.release()
    assert unpaid.night("2026-12-20")["status"] == "available"
    assert unpaid.night("2026-12-21")["reservation_id"] == "RES-2"
    assert unpaid.item["status"] == "expired"


def test_a_reservation_confirmed_in_between_is_not_released(unpaid: BookingStates, break_transaction: Any) -> None:
    break_transaction(overtaken_by(lambda: unpaid.stored.reservation(status="confirmed")))
    with pytest.raises(BookedElsewhere):
        unpaid.release()
    assert unpaid.night("2026-12-20")["status"] == "booked"
    assert unpaid.item["status"] == "expired"


def test_a_booking_that_keeps_changing_is_tried_again_later(
    unpaid: BookingStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookings, "release_hold", lambda *_, **__: False)
    with pytest.raises(StoreBusy):
        unpaid.release()


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.defect("R-13")
def test_a_deleted_reservation_is_a_booking_that_is_gone(booking: BookingStates, *, paid: bool) -> None:
    """Its session is closed, money that came is returned, and the nights that are still its own are free again."""
    session = booking.open_session()
    if paid:
        booking.stripe.pay(session)
    booking.stored.delete("reservations", "RES-1")
    booking.stored.night("2026-12-21", "RES-2")
    started: list[str] = []
    step = booking.verify()
    if paid:
        assert step["next_step"] == "refund_unapplied"
        started = [step["payment_intent"]]
        with pytest.raises(BookingLost):
            booking.confirm(*started)
        fields = {"kind": "unapplied", "payment_intent": started[0], "requested_by": "workflow"}
        assert booking.run_refund(reserve_refund, **fields)["amount"] == TOTAL
    else:
        assert step["next_step"] == "expire_sessions"
    assert booking.expire_sessions(*started)["next_step"] == "release_hold"
    assert booking.sessions == ["complete" if paid else "expired"]
    for _ in range(2):
        assert booking.release()["event"]["nights"] == NIGHTS
    assert (booking.item["status"], booking.reservation) == ("expired", {})
    assert booking.night("2026-12-20") == {"date": "2026-12-20", "status": "available"}
    assert booking.night("2026-12-21")["reservation_id"] == "RES-2"


def test_a_deleted_reservation_that_is_back_is_ended(booking: BookingStates, break_transaction: Any) -> None:
    booking.open_session()
    booking.stored.delete("reservations", "RES-1")
    break_transaction(overtaken_by(booking.stored.reservation))
    booking.release()
    assert (booking.item["status"], booking.reservation["status"]) == ("expired", "expired")


@pytest.mark.defect("R-13")
def test_a_reservation_deleted_before_its_first_session_ends_without_its_nights(booking: BookingStates) -> None:
    """Nothing has stored which nights they were."""
    booking.stored.delete("reservations", "RES-1")
    nights = booking.stored.all("availability")
    assert booking.release()["event"]["nights"] == []
    assert booking.item["status"] == "expired"
    assert booking.stored.all("availability") == nights


def test_a_missing_payment_item_raises_lookup_error(booking: BookingStates) -> None:
    booking.stored.delete("payments", "PAY-RES-1")
    with booking.fails_unchanged(LookupError):
        booking.release()
