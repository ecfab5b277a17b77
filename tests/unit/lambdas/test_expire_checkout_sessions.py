"""lambdas.expire_checkout_sessions: how it closes every session, whatever is known of it, and what it returns."""

from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.dynamodb import to_item
from shared.domain.models import iso
from tests.harness.booking_states import BookingStates
from tests.harness.builders import HOUR, MINUTE, NOW, WINDOW, opening, payment
from tests.harness.tables import in_table


def test_an_open_session_is_expired(booking: BookingStates) -> None:
    booking.open_session()
    assert booking.expire_sessions() == {"next_step": "await_retry", "reason": "expired"}
    assert booking.sessions == ["expired"]
    attempt = booking.attempts["1"]
    assert (attempt["status"], attempt["close_reason"]) == ("closed", "expired")
    assert attempt["closed_at"] == "2026-11-24T15:00:00.000Z"
    assert "checkout_url" not in attempt


def test_a_second_run_returns_the_same_without_calling_stripe(booking: BookingStates) -> None:
    booking.open_session()
    first = booking.expire_sessions()
    after, requests = booking.item, len(booking.stripe.requests)
    assert booking.expire_sessions() == first
    assert booking.item == after
    assert len(booking.stripe.requests) == requests


@pytest.mark.defect("P-05")
def test_a_session_paid_at_the_same_moment_is_found(booking: BookingStates) -> None:
    """Stripe refuses to expire it with 400; the session is read instead, and the money counts."""
    booking.stripe.pay(booking.open_session())
    assert booking.expire_sessions()["next_step"] == "confirm"
    assert booking.requested[1:] == ["checkout.sessions.expire", "checkout.sessions.retrieve"]
    assert len(booking.item["captures"]) == 1


@pytest.mark.defect("P-09")
def test_a_session_that_stripe_has_expired_is_closed(booking: BookingStates) -> None:
    booking.open_session()
    booking.clock.advance(timedelta(minutes=36))
    assert booking.expire_sessions()["next_step"] == "await_retry"
    assert booking.sessions == ["expired"]


def test_it_waits_for_a_payment_that_is_processing(booking: BookingStates) -> None:
    """Stripe refuses to expire a complete session; later the bank declines."""
    pi = booking.stripe.start_processing(booking.open_session(), session_status="complete")
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    booking.stripe.finish_processing(pi, succeeded=False)
    assert booking.expire_sessions()["next_step"] == "await_retry"
    assert booking.attempts["1"]["close_reason"] == "payment_failed"


@pytest.mark.defect("D-22")
def test_a_session_whose_id_was_lost_is_created_again_and_expired(booking: BookingStates) -> None:
    """Stripe answers the same request under the same key with the session that it made then."""
    booking.fail_to_create_session(("timeout_after", 1), ("timeout_before", 1))
    assert booking.sessions == ["open"]
    assert booking.expire_sessions()["next_step"] == "await_retry"
    assert booking.sessions == ["expired"]
    [session] = booking.stripe.all("checkout.session")
    attempt = booking.attempts["1"]
    assert (attempt["status"], attempt["stripe_checkout_session_id"]) == ("closed", session["id"])
    assert attempt["counted"] == 0


@in_table()
def test_a_session_whose_creation_stripe_refuses_counts_as_closed(
    booking: BookingStates, fault: Any, times: int, minutes: int, sessions: list[str]
) -> None:
    """It does not exist, or its URL was never published, so nobody can pay it."""
    booking.fail_to_create_session((fault, times))
    booking.clock.advance(minutes * MINUTE)
    assert booking.expire_sessions()["next_step"] == "await_retry"
    assert booking.sessions == sessions
    assert booking.attempts["1"]["close_reason"] == "never_opened"


@pytest.mark.parametrize(("age", "asks"), [(timedelta(hours=23), True), (timedelta(hours=23, seconds=1), False)])
def test_a_create_is_not_repeated_after_23_hours(booking: BookingStates, age: timedelta, *, asks: bool) -> None:
    """Stripe may have forgotten the key by then, and would create a second session."""
    old = opening(status="unresolved", opened_at=NOW - age, parameters='{"mode": "payment"}')
    booking.replace(payment(attempts={"1": old}, current_attempt="1"))
    booking.expire_sessions()
    assert bool(booking.requested) is asks
    assert booking.attempts["1"]["close_reason"] == ("never_opened" if asks else "unpublished")


def test_the_hold_is_kept_while_stripe_does_not_answer(booking: BookingStates) -> None:
    """Also past its end: money that Stripe has taken must not meet a released booking."""
    booking.open_session()
    booking.clock.advance(23 * HOUR)
    booking.stripe.faults.add("checkout.sessions.expire", "timeout_before", 2)
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    assert booking.statuses == {"1": "open"}
    assert booking.expire_sessions()["next_step"] == "release_hold"


def test_what_stripe_answered_before_an_outage_is_recorded(booking: BookingStates) -> None:
    booking.open_session()
    unresolved = to_item(opening(status="unresolved", opened_at=NOW))
    booking.change(attempts=booking.attempts | {"2": unresolved})
    booking.stripe.faults.add("checkout.sessions.create", "timeout_before", 2)
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    assert booking.statuses == {"1": "closed", "2": "unresolved"}


def test_an_outage_of_stripe_ends_the_run_at_the_first_session(booking: BookingStates) -> None:
    """Each call takes 20 s to time out; an hour's outage leaves more attempts than the function has time for."""
    unresolved = {str(key): opening(status="unresolved", opened_at=NOW) for key in range(1, 13)}
    booking.replace(payment(attempts=unresolved, current_attempt="12"))
    booking.stripe.faults.add("checkout.sessions.create", "timeout_before", 100)
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    assert booking.requested == ["checkout.sessions.create"] * 2


def test_the_hold_is_released_once_it_has_ended(booking: BookingStates) -> None:
    booking.replace(payment(hold_expires_at=NOW + WINDOW))
    booking.open_session()
    booking.change(hold_expires_at=iso(NOW))
    assert booking.expire_sessions()["next_step"] == "release_hold"


def test_a_missing_payment_item_raises_lookup_error(booking: BookingStates) -> None:
    booking.stored.delete("payments", "PAY-RES-1")
    with booking.fails_unchanged(LookupError):
        booking.expire_sessions()


@pytest.mark.defect("R-16")
def test_a_session_that_stripe_refuses_to_expire_keeps_the_hold(booking: BookingStates) -> None:
    """It could still be paid, after the dates had gone to somebody else."""
    booking.open_session()
    booking.change(hold_expires_at=iso(NOW))
    booking.stripe.faults.add("checkout.sessions.expire", "refuse", 2)
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    assert booking.verify()["next_step"] == "expire_sessions"
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    assert booking.expire_sessions()["next_step"] == "release_hold"


@pytest.mark.defect("R-16")
def test_no_other_session_is_opened_beside_one_that_stripe_refuses_to_expire(booking: BookingStates) -> None:
    booking.open_session()
    booking.change(hold_expires_at=iso(NOW + 2 * HOUR))
    booking.clock.advance(WINDOW)
    booking.stripe.faults.add("checkout.sessions.expire", "refuse")
    assert booking.expire_sessions()["next_step"] == "await_stripe"
    assert booking.expire_sessions()["next_step"] == "await_retry"


@pytest.mark.parametrize("paid", [False, True])
def test_no_email_address_stays_once_an_attempt_is_closed(booking: BookingStates, *, paid: bool) -> None:
    session = booking.open_session()
    assert "ada@guests.example" in str(booking.item)
    if paid:
        booking.stripe.pay(session)
    booking.expire_sessions()
    assert "@" not in str([booking.item, booking.stored.all("audit")])
