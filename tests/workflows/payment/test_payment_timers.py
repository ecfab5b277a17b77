"""Timers that go off, with nobody to answer them → the states visited, and how everything stands afterwards."""

import time
from datetime import UTC, datetime

from tests.harness.booking_driver import NO_FUNDS, BookingDriver
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

WINDOW, HOLD = 1800, 86_400  # seconds

scenario = ScenarioTable(__file__)


def let_hold_pass(booking: BookingDriver, *, until: float = -1) -> None:
    """Let time pass until so many seconds before the end of the hold; by default until a second after it."""
    ends = datetime.fromisoformat(booking.payment["hold_expires_at"])
    time.sleep((ends - datetime.now(UTC)).total_seconds() - until)


@scenario.opened
def declined_then_window_ends_then_retried_and_paid(booking: BookingDriver) -> None:
    """A guest who gave up may try again, in a new session."""
    assert booking.pay(NO_FUNDS) == "declined"
    booking.wait_until_awaiting("retry")
    (attempt,) = booking.status()["attempts"]
    assert (attempt["status"], attempt["declines"], attempt["failure_code"]) == ("closed", 1, "insufficient_funds")
    assert booking.pay() == "refused"
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario
def webhook_missing_and_the_timer_finds_the_payment(booking: BookingDriver) -> None:
    """Stripe refuses to expire a completed session; reading it shows the payment."""
    booking.faults.webhooks = "hold"
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()


@scenario.opened
def paid_just_after_the_window_ends(booking: BookingDriver) -> None:
    """The session is not closed yet, and the webhook finds no task token to answer."""
    booking.faults.before("expire_checkout_sessions", booking.pay)
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario
def session_complete_but_its_payment_is_processing(booking: BookingDriver) -> None:
    """A session that Stripe refuses to expire is not treated as paid until it is."""
    booking.faults.webhooks = "hold"
    assert booking.pay_now().outcome == (201, 1)
    pi = booking.start_processing(session_status="complete")
    booking.wait_in("AwaitStripe")
    booking.stack.stripe.finish_processing(pi, succeeded=True)
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def never_paid(booking: BookingDriver) -> None:
    """Every wait ends, and the last one releases the dates."""
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert booking.published_types() == ["AttemptFailed", "HoldEnding", "HoldReleased"]
    (reminder,) = booking.published("HoldEnding")
    assert reminder["hold_expires_at"] == booking.payment["hold_expires_at"]
    assert reminder["customer_id"] == booking.customer_id
    assert reminder["link"].endswith(f"?reservation_id={booking.id}")
    assert booking.retry().outcome == (400, "RESERVATION_NOT_PAYABLE")


@scenario
def three_attempts_then_released(booking: BookingDriver) -> None:
    """No attempt is left, the dates are kept until the hold ends, and then nobody can pay."""
    last = 0
    for number in (1, 2):
        assert booking.pay_now().outcome == (201, number)
        booking.expire_at_stripe()
        last = booking.wait_until_awaiting("retry", after=last)
    assert booking.pay_now().outcome == (201, 3)
    booking.wait_until_awaiting("retry", after=last)
    assert booking.retry().outcome == (409, "ATTEMPTS_EXHAUSTED")
    assert booking.reservation_status == "pending"
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")


@scenario.opened
def hold_too_short_for_another_attempt(booking: BookingDriver) -> None:
    """Attempts are left, but not enough time."""
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    let_hold_pass(booking, until=WINDOW + 60)
    assert booking.status()["can_retry"]
    let_hold_pass(booking, until=WINDOW - 1)
    assert not booking.status()["can_retry"]
    assert booking.retry().outcome == (409, "HOLD_ENDING")
    assert booking.pay_now().outcome == (409, "HOLD_ENDING")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def hold_ends_while_stripe_is_down(booking: BookingDriver) -> None:
    """Dates whose session may have been paid are kept beyond the hold."""
    booking.faults.before("expire_checkout_sessions", lambda: booking.faults.fail_stripe("*", times=1_000))
    let_hold_pass(booking)
    assert booking.reservation_status == "pending"
    assert booking.nights_status == "booked"
    booking.faults.stripe.clear()
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def hold_ends_while_a_payment_is_processing_then_paid(booking: BookingDriver) -> None:
    """The dates are kept for money on its way, and belong to the guest once it arrives."""
    pi = booking.start_processing()
    let_hold_pass(booking)
    assert booking.reservation_status == "pending"
    booking.stack.stripe.finish_processing(pi, succeeded=True)
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def hold_ends_while_a_payment_is_processing_then_failed(booking: BookingDriver) -> None:
    """The dates are released when the payment fails."""
    pi = booking.start_processing()
    let_hold_pass(booking)
    booking.stack.stripe.finish_processing(pi, succeeded=False)
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
