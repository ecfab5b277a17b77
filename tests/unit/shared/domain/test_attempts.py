"""shared.domain.attempts: whether a session may be opened or offered, and until when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
from shared.domain.models import Payment
from tests.harness.builders import HOUR, MINUTE, NOW, SECOND, WINDOW, closed, payment, reservation
from tests.harness.tables import in_table


@pytest.mark.defect("D-07")
def test_the_hold_starts_when_the_reservation_is_made() -> None:
    """It does not start when somebody first presses "Pay now"."""
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
def test_a_hold_is_ending_when_less_than_a_checkout_window_is_left(left: timedelta, *, ending: bool) -> None:
    assert hold_ending(NOW + left, WINDOW, NOW) is ending


@pytest.mark.defect("D-41")
@pytest.mark.parametrize(
    ("total", "payable"), [(49, False), (50, True), (99_999_999, True), (100_000_000, False), (0, False), (-50, False)]
)
def test_a_payable_amount_is_within_stripes_bounds(total: int, *, payable: bool) -> None:
    assert amount_payable(reservation(total_amount=total)) is payable


@in_table()
def test_which_bookings_are_gone(of: Any, *, gone: bool) -> None:
    assert booking_gone(of) is gone


@in_table()
def test_attempts_left(of: Payment | None, left: int) -> None:
    assert attempts_left(of, 3) == left


@pytest.mark.defect("D-02")
@pytest.mark.parametrize(("keys", "expected"), [((), "1"), (("1",), "2"), (("1", "2", "10"), "11"), (("7", "3"), "8")])
def test_attempt_keys_rise_as_numbers(keys: tuple[str, ...], expected: str) -> None:
    assert next_attempt_key(payment(attempts=dict.fromkeys(keys, closed()))) == expected


@pytest.mark.defect("D-21")
@pytest.mark.parametrize(
    ("window", "minutes"),
    [(timedelta(minutes=30), 35), (timedelta(minutes=31), 36), (timedelta(hours=2), 125), (timedelta(seconds=3), 35)],
)
def test_stripe_expires_a_session_after_our_deadline_and_above_its_minimum(window: timedelta, minutes: int) -> None:
    assert session_expires_at(NOW, window) == NOW + timedelta(minutes=minutes)


@pytest.mark.defect("D-02")
@in_table()
def test_which_create_requests_may_be_repeated(of: Any, *, expected: bool) -> None:
    assert repeatable(of, reservation(), NOW) is expected


AWAITED: dict[str, Any] = {"awaiting": "payment", "task_token": "token"}


@in_table()
def test_which_sessions_are_offerable(of: Payment, reserved: dict[str, Any], *, expected: bool) -> None:
    assert offerable(of, reservation(**reserved), margin=MINUTE, now=NOW) is expected
