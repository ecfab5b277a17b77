"""The domain's other functions; the next_step has a file of its own."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.adapters.dynamodb import to_item
from shared.domain.attempts import (
    amount_payable,
    attempts_left,
    booking_gone,
    hold_ending,
    new_payment,
    next_attempt_key,
    offerable,
    repeatable,
    session_expires_at,
)
from shared.domain.ids import cancellation_id, goodwill_id, payment_id_of, unapplied_refund_id
from shared.domain.models import Payment, Reservation, iso
from shared.domain.session_outcomes import SessionOutcome, merge_outcomes, never_opened
from tests.harness.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    WINDOW,
    attempt,
    booking,
    capture,
    closed,
    opening,
    paying,
    payment,
    reservation,
)

# Holds and amounts.


def test_a_payment_is_named_after_its_reservation() -> None:
    assert payment_id_of("RES-1") == "PAY-RES-1"


def test_the_hold_begins_when_the_reservation_was_made() -> None:
    """D-07: not when somebody first pressed Pay now."""
    made = new_payment(
        reservation(created_at=datetime(2026, 11, 24, 1, tzinfo=UTC)),
        hold=timedelta(hours=24),
        success_url="https://stay.example/s",
        cancel_url="https://stay.example/c",
        now=NOW,
    )
    assert made.hold_expires_at == datetime(2026, 11, 25, 1, tzinfo=UTC)
    assert (made.payment_id, made.status, made.customer_id) == ("PAY-RES-1", "pending", "guest-1")
    assert (made.attempts, made.captures, made.amount) == ({}, {}, None)


@pytest.mark.parametrize(("left", "ending"), [(WINDOW, False), (WINDOW - SECOND, True), (-HOUR, True)])
def test_a_hold_ends_when_less_than_a_window_is_left(left: timedelta, *, ending: bool) -> None:
    assert hold_ending(NOW + left, WINDOW, NOW) is ending


@pytest.mark.parametrize(
    ("total", "payable"), [(49, False), (50, True), (99_999_999, True), (100_000_000, False), (0, False), (-50, False)]
)
def test_stripes_bounds(total: int, *, payable: bool) -> None:
    """D-41."""
    assert amount_payable(reservation(total_amount=total)) is payable


@pytest.mark.parametrize(
    ("of", "gone"),
    [
        (booking(payment()), False),
        (booking(None), False),
        (booking(payment(), reservation=reservation(status="cancelled")), True),
        (booking(payment(), reservation=reservation(status="confirmed")), True),
        (booking(payment(), held=frozenset({"2026-12-21"})), True),
        (booking(payment(cancel_requested_at=NOW)), True),
    ],
)
def test_what_loses_a_booking(of: Any, *, gone: bool) -> None:
    assert booking_gone(of) is gone


def test_the_night_of_departure_is_not_part_of_the_stay() -> None:
    assert reservation(check_in=date(2026, 12, 30), check_out=date(2027, 1, 2)).nights == [
        "2026-12-30",
        "2026-12-31",
        "2027-01-01",
    ]


@pytest.mark.parametrize("nights", [0, -1, 91])
def test_a_stay_has_1_to_90_nights(nights: int) -> None:
    of = reservation(check_in=date(2026, 12, 1), check_out=date(2026, 12, 1) + timedelta(days=nights))
    with pytest.raises(ValueError, match="must be 1 to 90"):
        _ = of.nights


# Attempts.


@pytest.mark.parametrize(
    ("of", "left"),
    [
        (None, 3),
        (payment(), 3),
        (paying(), 2),
        (payment(attempts={"1": closed(), "2": closed(), "3": closed()}), 0),
        (payment(attempts={"1": closed(), "2": closed(), "3": closed(), "4": closed()}), 0),
        (payment(attempts={"1": closed(), "2": closed(), "3": closed()}, attempts_granted=1), 1),
        (payment(attempts={"1": opening(status="unresolved"), "2": closed(counted=0), "3": opening()}), 3),
        (paying(attempts={"1": attempt(declines={"ch_1": "generic_decline", "ch_2": "lost_card"})}), 2),
    ],
    ids=[
        "not started",
        "no attempt",
        "one open",
        "three expired",
        "never below none",
        "one granted by an operator",
        "D-12: what was never published does not count",
        "D-12: declines do not count",
    ],
)
def test_attempts_left(of: Payment | None, left: int) -> None:
    assert attempts_left(of, 3) == left


@pytest.mark.parametrize(("keys", "following"), [((), "1"), (("1",), "2"), (("1", "2", "10"), "11"), (("7", "3"), "8")])
def test_attempt_keys_rise_as_numbers(keys: tuple[str, ...], following: str) -> None:
    """D-02."""
    assert next_attempt_key(payment(attempts=dict.fromkeys(keys, closed()))) == following


@pytest.mark.parametrize(
    ("window", "minutes"),
    [(timedelta(minutes=30), 35), (timedelta(minutes=31), 36), (timedelta(hours=2), 125), (timedelta(seconds=3), 35)],
)
def test_stripe_expires_a_session_after_our_deadline_and_above_its_minimum(window: timedelta, minutes: int) -> None:
    """D-21."""
    assert session_expires_at(NOW, window) == NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("of", "again"),
    [
        (opening(), True),
        (opening(opened_at=NOW - timedelta(seconds=240)), True),
        (opening(opened_at=NOW - timedelta(seconds=241)), False),
        (opening(amount=90_000), False),
        (opening(status="unresolved"), False),
        (attempt(), False),
        (closed(), False),
    ],
    ids=["just sent", "240 s", "241 s: refused for its expires_at", "repriced", "unresolved", "open", "closed"],
)
def test_what_create_may_be_sent_again(of: Any, *, again: bool) -> None:
    """D-02."""
    assert repeatable(of, reservation(), NOW) is again


AWAITED: dict[str, Any] = {"awaiting": "payment", "task_token": "token"}


@pytest.mark.parametrize(
    ("of", "reserved", "handed"),
    [
        (paying(**AWAITED), {}, True),
        (paying(), {}, False),
        (paying(**AWAITED | {"awaiting": "retry"}), {}, False),
        (paying(**AWAITED, status="completed"), {}, False),
        (paying(**AWAITED, cancel_requested_at=NOW), {}, False),
        (paying(**AWAITED), {"status": "cancelled"}, False),
        (paying(**AWAITED), {"total_amount": 90_000}, False),
        (paying(**AWAITED, attempts={"1": attempt(deadline=NOW + MINUTE + SECOND)}), {}, True),
        (paying(**AWAITED, attempts={"1": attempt(deadline=NOW + MINUTE)}), {}, False),
        (paying(**AWAITED, attempts={"1": attempt(checkout_url=None)}), {}, False),
        (paying(**AWAITED, attempts={"1": attempt(status="unresolved")}), {}, False),
        (paying(**AWAITED, attempts={"1": attempt(closed_at=NOW)}), {}, False),
        (paying(**AWAITED, current_attempt="2"), {}, False),
    ],
    ids=[
        "awaited",
        "between two states",
        "another wait",
        "paid",
        "being cancelled",
        "cancelled by the platform",
        "repriced",
        "a second more than the margin",
        "the margin",
        "no address",
        "in doubt",
        "ended with a payment under way",
        "not the current one",
    ],
)
def test_what_session_is_handed_out(of: Payment, reserved: dict[str, Any], *, handed: bool) -> None:
    assert offerable(of, reservation(**reserved), margin=MINUTE, now=NOW) is handed


def test_an_attempt_that_never_opened_is_closed_and_says_why() -> None:
    found = never_opened(opening(), "refused", NOW)
    assert (found.attempt.status, found.attempt.close_reason, found.attempt.closed_at) == ("closed", "refused", NOW)
    assert (found.captures, found.payable, found.unsettled) == ({}, False, False)


def test_captures_are_added_and_never_replaced() -> None:
    """D-38: what a later look says of known money changes nothing."""
    known = capture(role="booking", refundable=5)
    before = paying(captures={"pi_1": known})
    found = SessionOutcome(closed(), captures={"pi_1": capture(amount=1), "pi_2": capture(session="cs_2")})
    after = merge_outcomes(before, {"1": found})
    assert after.captures == {"pi_1": known, "pi_2": capture(session="cs_2")}
    assert after.attempts == {"1": closed()}
    assert before.attempts == {"1": attempt()}


# How values are stored.


def test_times_are_written_in_one_way_that_sorts_as_text() -> None:
    madrid = datetime(2026, 11, 24, 16, 0, 0, 250_900, tzinfo=ZoneInfo("Europe/Madrid"))
    assert iso(madrid) == "2026-11-24T15:00:00.250Z"


@pytest.mark.parametrize("given", ["2026-11-24T15:00:00Z", "2026-11-24T16:00:00+01:00", "2026-11-24T15:00:00"])
def test_times_are_read_as_utc(given: str) -> None:
    read = Reservation.model_validate({**reservation().model_dump(), "created_at": given})
    assert read.created_at == NOW


def test_money_is_never_a_float() -> None:
    """D-35."""
    with pytest.raises(ValueError, match="total_amount"):
        Reservation.model_validate({**reservation().model_dump(), "total_amount": 112_500.0})


def test_every_time_on_a_stored_payment_is_text() -> None:
    """DynamoDB knows no times: not at the top, not inside an attempt, a capture or a refund."""
    stored = to_item(paying(captures={"pi_1": capture()}))
    assert stored["created_at"] == "2026-11-24T14:00:00.000Z"
    assert stored["attempts"]["1"]["opened_at"] == "2026-11-24T14:50:00.000Z"
    assert stored["captures"]["pi_1"]["captured_at"] == "2026-11-24T14:59:00.000Z"
    assert "completed_at" not in stored


# Names of refunds; the policy and the ledger have files of their own.


def test_refund_ids() -> None:
    assert cancellation_id("PAY-RES-1") == "PAY-RES-1-cancellation"
    assert unapplied_refund_id("pi_1") == "REF-pi_1"
    assert goodwill_id("PAY-RES-1", "one") == "PAY-RES-1-7692c3ad3540"
    assert goodwill_id("PAY-RES-1", "two") != goodwill_id("PAY-RES-1", "one")


def test_refund_ids_fit_an_execution_name_with_its_generation() -> None:
    longest = payment_id_of("r" * 60)
    assert max(len(cancellation_id(longest)), len(goodwill_id(longest, "k" * 255))) + len("-r9") <= 80
