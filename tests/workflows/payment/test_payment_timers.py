"""Timers that go off → the states visited, and how the booking ends.

A checkout window of 25 seconds, a hold of 48: the real timers of the state machine, with nobody to resume it.
"""

from datetime import UTC, datetime, timedelta

import pytest

from tests.workflows.payment.scenario_stage import NO_FUNDS, Guest, until
from tests.workflows.payment.scenarios import (
    AFTER_ONE_EXPIRY,
    CLOSED,
    CONFIRMED,
    FAILED,
    OPENED,
    OPENED_AGAIN,
    RELEASED,
    STRIPE_ASKED_AGAIN,
    VERIFIED,
    Run,
    Stories,
    Story,
    confirmed,
    released,
)

HOLD = 48

path = Stories(timers=True)


def hold_is_over(guest: Guest) -> None:
    ends = datetime.fromisoformat(guest.payment()["hold_expires_at"])
    until(lambda: datetime.now(UTC) > ends + timedelta(seconds=1), "the hold to end")


@path(
    confirmed(
        f"{OPENED} {CLOSED} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["expired", "complete"],
        attempts=["closed", "paid"],
    )
)
def declined_window_over_retried_paid(guest: Guest) -> None:
    """D-11, D-02: the guest who gave up may try again, in a new session."""
    assert guest.pay_now() == (201, "1")
    assert guest.pay(NO_FUNDS) == "declined"
    guest.waits("retry")
    (attempt,) = guest.status()["attempts"]
    assert (attempt["status"], attempt["declines"], attempt["failure_code"]) == ("closed", 1, "insufficient_funds")
    assert guest.pay() == "refused"
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {CLOSED} {CONFIRMED}"))
def webhook_never_comes_and_the_timer_finds_the_payment(guest: Guest) -> None:
    """D-32, P-05: Stripe refuses to expire what is complete; then it is read, and was paid."""
    guest.webhooks("keep")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {CLOSED} {CONFIRMED}"))
def paid_in_the_moment_of_the_timer(guest: Guest) -> None:
    """P-03, P-05: the window is over, the session not closed yet, and the webhook finds nobody waiting."""
    assert guest.pay_now() == (201, "1")
    guest.before("expire_checkout_sessions", guest.pay)
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {CLOSED} {STRIPE_ASKED_AGAIN} {CONFIRMED}"))
def session_complete_but_its_payment_is_processing(guest: Guest) -> None:
    """D-09: what Stripe refuses to expire is not taken for paid either, until it is."""
    guest.webhooks("keep")
    assert guest.pay_now() == (201, "1")
    pi = guest.stage.fake_stripe.start_processing(guest.session, session_status="complete")
    guest.waits_for_stripe()
    guest.stage.fake_stripe.finish_processing(pi, succeeded=True)
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {CLOSED} {FAILED} {CLOSED} {RELEASED}", reservation="expired"), hold_left=HOLD)
def never_paid(guest: Guest) -> None:
    """D-07, P-11: every wait has an end, and the last one gives the dates back."""
    assert guest.pay_now() == (201, "1")
    assert guest.ended() == "SUCCEEDED"
    assert guest.published() == ["HoldReleased"]
    assert guest.retry() == (400, "RESERVATION_NOT_PAYABLE")


@path(
    released(
        f"{AFTER_ONE_EXPIRY} {VERIFIED} {FAILED} {OPENED_AGAIN} {CLOSED} {FAILED} {CLOSED} {RELEASED}",
        reservation="expired",
        sessions=["expired", "expired", "expired"],
        attempts=["closed", "closed", "closed"],
    ),
    hold_left=HOLD,
)
def three_attempts_then_released(guest: Guest) -> None:
    """D-07, D-12: no attempt is left, the dates are kept until the hold is over, and then nobody can pay any more."""
    for number in ("1", "2"):
        before = guest.payment().get("token_sequence", 0)
        assert guest.pay_now() == (201, number)
        guest.expire_at_stripe()
        before = guest.waits("retry", after=before)
    assert guest.pay_now() == (201, "3")
    guest.waits("retry", after=before)
    assert guest.retry() == (409, "ATTEMPTS_EXHAUSTED")
    assert guest.stage.admin.reservation(guest.id)["status"] == "pending"
    assert guest.ended() == "SUCCEEDED"
    assert guest.pay_now() == (400, "RESERVATION_NOT_PAYABLE")


@path(released(f"{OPENED} {VERIFIED} {FAILED} {CLOSED} {RELEASED}", reservation="expired"), hold_left=HOLD)
def no_window_of_hold_is_left_for_another_attempt(guest: Guest) -> None:
    """D-07: attempts are left, time is not."""
    assert guest.pay_now() == (201, "1")
    guest.expire_at_stripe()
    guest.waits("retry")
    until(lambda: not guest.status()["can_retry"], "less than a window of hold to be left")
    assert guest.retry() == (409, "HOLD_ENDING")
    assert guest.pay_now() == (409, "HOLD_ENDING")
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"{OPENED} {CLOSED} {STRIPE_ASKED_AGAIN} {CLOSED} {RELEASED}",
        reservation="expired",
    ),
    hold_left=HOLD,
)
def hold_over_while_stripe_is_down(guest: Guest) -> None:
    """D-09, D-04: dates whose session cannot be closed are kept beyond the hold."""
    assert guest.pay_now() == (201, "1")
    guest.before("expire_checkout_sessions", lambda: guest.stripe_fails("*", times=1_000))
    hold_is_over(guest)
    assert guest.stage.admin.reservation(guest.id)["status"] == "pending"
    assert {guest.night(night) for night in guest.nights} == {"booked"}
    guest.stripe_recovers()
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {CLOSED} {STRIPE_ASKED_AGAIN} {CONFIRMED}", sessions=["expired"]), hold_left=HOLD)
def hold_over_while_a_payment_is_processing_then_paid(guest: Guest) -> None:
    """P-05: dates are kept for money that is on its way, and are the guest's when it comes."""
    assert guest.pay_now() == (201, "1")
    pi = guest.stage.fake_stripe.start_processing(guest.session)
    hold_is_over(guest)
    assert guest.stage.admin.reservation(guest.id)["status"] == "pending"
    guest.stage.fake_stripe.finish_processing(pi, succeeded=True)
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {CLOSED} {STRIPE_ASKED_AGAIN} {RELEASED}", reservation="expired"), hold_left=HOLD)
def hold_over_while_a_payment_is_processing_then_not_paid(guest: Guest) -> None:
    """D-07: and are free when it fails."""
    assert guest.pay_now() == (201, "1")
    pi = guest.stage.fake_stripe.start_processing(guest.session)
    hold_is_over(guest)
    guest.stage.fake_stripe.finish_processing(pi, succeeded=False)
    assert guest.ended() == "SUCCEEDED"


@pytest.mark.parametrize("story", path, ids=lambda story: story.name)
def test_path(story: Story, run: Run) -> None:
    played = run.played[story.name]
    played.story.result()
    assert played.ending == story.ending
    assert played.unused == []
