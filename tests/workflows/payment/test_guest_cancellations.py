"""Unpaid bookings that the guest cancels → the states visited, and how everything stands afterwards."""

from tests.harness.booking_driver import CHALLENGED, BookingDriver
from tests.harness.waiting import wait_until
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario
def cancelled_before_pay_now(booking: BookingDriver) -> None:
    """The cancellation is the first request about the booking; no session is ever created."""
    assert booking.cancel().outcome == (200, "expired")
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.stripe_requests("checkout.sessions.create") == []
    booking.wait_for_end()
    assert booking.published_types() == ["HoldReleased"]


@scenario.opened
def cancelled_before_paying(booking: BookingDriver) -> None:
    """An unpaid booking has nothing to refund."""
    assert booking.cancel().outcome == (200, "expired")
    assert booking.cancel().outcome == (200, "expired")
    assert booking.pay() == "refused"
    assert booking.status()["refund_amount"] == 0


@scenario
def cancelled_while_the_session_is_created(booking: BookingDriver) -> None:
    """The session is found and closed, although its URL was never published."""
    booking.faults.after("create_checkout_session", booking.cancel_in_background)
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def cancelled_between_two_attempts(booking: BookingDriver) -> None:
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    assert booking.cancel().outcome == (200, "expired")


@scenario
def cancelled_while_paying(booking: BookingDriver) -> None:
    """A cancellation beats a payment that is not confirmed yet; the guest gets everything back."""
    booking.faults.webhooks = "hold"
    assert booking.pay_now().outcome == (201, 1)
    assert booking.pay() == "paid"
    assert booking.cancel().outcome == (200, "expired")
    booking.release_webhooks()


@scenario.opened
def cancelled_and_paid_while_the_session_is_closed(booking: BookingDriver) -> None:
    """Stripe refuses to expire a completed session, so the payment is found by reading it."""
    booking.faults.before("expire_checkout_sessions", booking.pay)
    assert booking.cancel().outcome == (200, "expired")


@scenario.opened
def cancelled_when_stripe_has_just_expired_the_session(booking: BookingDriver) -> None:
    """Expiring an expired session is not an error."""
    booking.faults.before("expire_checkout_sessions", booking.expire_at_stripe)
    assert booking.cancel().outcome == (200, "expired")


@scenario.opened
def cancelled_during_a_3d_secure_challenge(booking: BookingDriver) -> None:
    """Dates are not released while a 3-D Secure challenge may still bring money."""
    assert booking.pay(CHALLENGED) == "challenge"
    booking.cancel_in_background()
    booking.wait_in("AwaitStripe")
    assert booking.reservation_status == "pending"
    booking.pass_challenge()
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def cancelled_just_before_the_confirmation(booking: BookingDriver) -> None:
    """The cancellation wins until the confirming transaction is committed."""
    booking.faults.before("confirm_reservation", booking.cancel_in_background)
    booking.pay_to_the_end()


@scenario.opened
def cancelled_after_paying(booking: BookingDriver) -> None:
    """A paid booking is cancelled with a refund, not by this route."""
    booking.pay_to_the_end()
    assert booking.cancel().outcome == (409, "ALREADY_PAID")


@scenario.opened
def paid_after_the_release(booking: BookingDriver) -> None:
    """Late money confirms nothing: it is refunded, and operators are notified."""
    assert booking.cancel().outcome == (200, "expired")
    booking.force_payment()
    wait_until(lambda: booking.notified() != [], "the notification of operators")
    assert set(booking.notified()) == {"LatePayment"}


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
