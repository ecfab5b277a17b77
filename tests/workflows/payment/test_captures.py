"""Payments that are late, double or wrong → the states visited, and how everything stands afterwards."""

from tests.harness.booking_driver import BookingDriver
from tests.harness.waiting import wait_until
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario.opened
def session_expired_while_a_payment_is_processing_then_paid(booking: BookingDriver) -> None:
    """While money may still arrive, no further session is opened and nothing is released."""
    pi = booking.start_processing()
    booking.expire_at_stripe()
    booking.wait_in("AwaitStripe")
    assert "checkout_url" not in booking.status()
    booking.stack.stripe.finish_processing(pi, succeeded=True)
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def session_expired_while_a_payment_is_processing_then_failed(booking: BookingDriver) -> None:
    """The failure is noticed, and the guest may try again."""
    pi = booking.start_processing()
    booking.expire_at_stripe()
    booking.wait_in("AwaitStripe")
    booking.stack.stripe.finish_processing(pi, succeeded=False)
    booking.wait_until_awaiting("retry")
    assert booking.payment["attempts"]["1"]["failure_code"] == "generic_decline"
    assert booking.cancel().outcome == (200, "expired")


@scenario.opened
def earlier_session_paid_during_a_later_attempt(booking: BookingDriver) -> None:
    """The later session is closed before the earlier one's payment confirms the booking."""
    first = booking.session
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.force_payment(first)
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert booking.pay() == "refused"


@scenario
def two_sessions_paid(booking: BookingDriver) -> None:
    """One payment is the booking's; the other is refunded."""
    booking.faults.webhooks = "hold"
    assert booking.pay_now().outcome == (201, 1)
    first = booking.session
    booking.expire_at_stripe()
    booking.release_webhooks()
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.faults.webhooks = "hold"
    assert booking.pay() == "paid"
    booking.force_payment(first)
    booking.release_webhooks(first)
    assert booking.wait_for_end().status == "SUCCEEDED"
    booking.release_webhooks()


@scenario.opened
def earlier_session_paid_after_the_confirmation(booking: BookingDriver) -> None:
    """The second payment is refunded although no execution waits any more."""
    first = booking.session
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()
    booking.force_payment(first)
    wait_until(lambda: booking.notified() != [], "the notification of operators")
    assert set(booking.notified()) == {"LatePayment"}


@scenario.opened
def one_cent_paid(booking: BookingDriver) -> None:
    """The cent is refunded, and the booking can still be paid."""
    booking.force_payment(amount=1)
    booking.wait_until_awaiting("retry")
    assert booking.reservation_status == "pending"
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario.opened
def paid_in_another_currency(booking: BookingDriver) -> None:
    """The amount is right and the currency is not."""
    booking.force_payment(currency="usd")
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario.opened
def returned_in_part_just_before_the_confirmation(booking: BookingDriver) -> None:
    """An operator refunds in the dashboard after VerifyPayment: the rest is refunded, and a person is asked."""

    def refund() -> None:
        entry = booking.stack.stripe.dashboard_refund(booking.session_intent, 10_000)
        wait_until(lambda: entry["id"] in booking.payment["refunds"], "the entry of the refund")

    booking.faults.before("confirm_reservation", refund)
    assert booking.pay() == "paid"
    booking.wait_until_awaiting("retry")
    assert booking.notified() == ["PaymentReturned"]
    assert booking.cancel().outcome == (200, "expired")


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
