"""shared.domain.session_outcomes: what a Checkout Session at Stripe means for its attempt."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.session_outcomes import SessionOutcome, assess_session, merge_outcomes, never_opened
from shared.domain.stripe_values import CheckoutSession
from tests.harness.builders import HOUR, NOW, attempt, capture, closed, intent, opening, paying, session
from tests.harness.tables import in_table

BEFORE = attempt()


def ended(status: str, reason: str, **changes: Any) -> SessionOutcome:
    update = {"status": status, "close_reason": reason, "closed_at": NOW, "checkout_url": None, "parameters": ""}
    return SessionOutcome(BEFORE.model_copy(update=update | changes))


NO_FUNDS = {"failure_code": "insufficient_funds", "failure_message": "Your card has insufficient funds."}
OUTCOMES = {
    "still open": SessionOutcome(BEFORE, payable=True),
    "open and processing": SessionOutcome(BEFORE, payable=True, unsettled=True),
    "still processing": SessionOutcome(BEFORE.model_copy(update={"closed_at": NOW}), unsettled=True),
    "paid": SessionOutcome(ended("paid", "paid").attempt, captures={"pi_1": capture()}, paid_by=intent("succeeded")),
    "expired": ended("closed", "expired"),
    "expired after a decline": ended("closed", "expired", **NO_FUNDS),
    "payment failed": ended("closed", "payment_failed"),
}


@in_table()
def test_a_session_is_assessed(session: CheckoutSession, expected: str) -> None:
    assert assess_session(BEFORE, session, NOW) == OUTCOMES[expected]


@pytest.mark.parametrize(
    ("since_expiry", "unsettled"),
    [(timedelta(minutes=14, seconds=59), True), (timedelta(minutes=15), False), (timedelta(hours=2), False)],
)
def test_a_challenge_outlives_its_session_for_15_minutes(since_expiry: timedelta, *, unsettled: bool) -> None:
    before = attempt(closed_at=NOW - since_expiry)
    outcome = assess_session(before, session("expired", of=intent("requires_action")), NOW)
    assert outcome.unsettled is unsettled
    assert outcome.attempt.closed_at == NOW - since_expiry
    assert outcome.attempt.status == ("open" if unsettled else "closed")


def test_a_processing_payment_is_awaited_however_long_it_takes() -> None:
    before = attempt(closed_at=NOW - 5 * HOUR)
    assert assess_session(before, session("expired", of=intent("processing")), NOW).unsettled


def test_the_first_closing_time_is_kept() -> None:
    before = attempt(closed_at=NOW - HOUR)
    assert assess_session(before, session("expired"), NOW).attempt.closed_at == NOW - HOUR


@pytest.mark.defect("D-06")
def test_the_captured_amount_is_what_stripe_received() -> None:
    """It is neither the session's total nor the amount that we asked for."""
    received = intent("succeeded", amount_received=7, currency="usd")
    captured = assess_session(BEFORE, session("complete", "paid", received), NOW).captures["pi_1"]
    assert (captured.amount, captured.refundable, captured.currency) == (7, 7, "USD")


def test_a_capture_without_a_charge_counts_from_now() -> None:
    read = session("complete", "paid", intent("succeeded", charge=None, captured_at=None))
    assert assess_session(BEFORE, read, NOW).captures["pi_1"].captured_at == NOW


def test_the_id_of_a_session_whose_create_got_no_answer_is_recorded() -> None:
    outcome = assess_session(opening(), session("expired"), NOW)
    assert outcome.attempt.stripe_checkout_session_id == "cs_1"
    assert outcome.attempt.status == "closed"
    assert outcome.attempt.counted == 0


def test_a_second_assessment_changes_nothing() -> None:
    once = assess_session(BEFORE, session("complete", "paid", intent("succeeded")), NOW)
    again = assess_session(once.attempt, session("complete", "paid", intent("succeeded")), NOW + HOUR)
    assert again == once


def test_an_attempt_that_never_opened_is_closed_with_a_reason() -> None:
    outcome = never_opened(opening(), "refused", NOW)
    closed_attempt = outcome.attempt
    assert (closed_attempt.status, closed_attempt.close_reason, closed_attempt.closed_at) == ("closed", "refused", NOW)
    assert (outcome.captures, outcome.payable, outcome.unsettled) == ({}, False, False)


@pytest.mark.defect("D-38")
def test_captures_are_added_and_never_replaced() -> None:
    """What Stripe says later about a capture that is already known changes nothing."""
    known = capture(role="booking", refundable=5)
    before = paying(captures={"pi_1": known})
    outcome = SessionOutcome(closed(), captures={"pi_1": capture(amount=1), "pi_2": capture(session="cs_2")})
    after = merge_outcomes(before, {"1": outcome})
    assert after.captures == {"pi_1": known, "pi_2": capture(session="cs_2")}
    assert after.attempts == {"1": closed()}
    assert before.attempts == {"1": attempt()}
