"""Stripe is down, or its answers are lost → the states visited, and how everything stands afterwards."""

from tests.harness.booking_driver import BookingDriver
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario
def stripe_down_at_pay_now_then_paid(booking: BookingDriver) -> None:
    """An outage uses up no attempt, and is reported as one or as not ready yet; the repeat sends the same request."""
    booking.faults.fail_stripe("checkout.sessions.create", times=1_000)
    assert booking.pay_now_once().status in {503, 202}
    booking.wait_until_awaiting("retry")
    booking.faults.stripe.clear()
    assert booking.status()["payment_attempts"] == 0
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()
    keys = {request["idempotency_key"] for request in booking.stripe_requests("checkout.sessions.create")}
    assert keys == {f"booking-local:PAY-{booking.id}:checkout:1"}


@scenario
def session_created_without_an_answer(booking: BookingDriver) -> None:
    """The repeat has the same idempotency key and the same parameters, so there is one session."""
    booking.faults.fail_stripe("checkout.sessions.create", "timeout_after", times=2)
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()
    requests = booking.stripe_requests("checkout.sessions.create")
    assert [(request["params"], request["idempotency_key"]) for request in requests] == 3 * [
        (requests[0]["params"], f"booking-local:PAY-{booking.id}:checkout:1")
    ]


@scenario
def session_created_but_answered_500_for_ever(booking: BookingDriver) -> None:
    """Stripe repeats its stored 500 for the key, so a new key is used; nobody knows the URL of the first session."""
    booking.faults.fail_stripe("checkout.sessions.create", "server_error_after")
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()


@scenario
def session_created_without_any_answer_then_cancelled(booking: BookingDriver) -> None:
    """The unknown session is found under its idempotency key and closed."""
    booking.faults.fail_stripe("checkout.sessions.create", "timeout_after", times=1_000)
    assert booking.pay_now_once().status in {503, 202}
    booking.wait_until_awaiting("retry")
    booking.faults.stripe.clear()
    assert booking.cancel().outcome == (200, "expired")


@scenario
def session_created_without_any_answer_then_repriced(booking: BookingDriver) -> None:
    """The session at the old price is closed before the booking is confirmed."""
    booking.faults.fail_stripe("checkout.sessions.create", "timeout_after", times=1_000)
    assert booking.pay_now_once().status in {503, 202}
    booking.wait_until_awaiting("retry")
    booking.faults.stripe.clear()
    booking.change_reservation(total_amount=50_000)
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()


@scenario.opened
def stripe_down_at_the_verification(booking: BookingDriver) -> None:
    """A missing answer decides nothing."""
    booking.faults.fail_stripe("*", times=1_000)
    assert booking.pay() == "paid"
    booking.wait_in("AwaitStripe")
    assert booking.status()["status"] == "pending"
    booking.faults.stripe.clear()
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def pages_in_place_of_stripes_answers(booking: BookingDriver) -> None:
    """A proxy that blocks or times out says nothing about the payment, whatever its status."""
    booking.faults.fail_stripe("checkout.sessions.retrieve", "html_403", times=2)
    booking.faults.fail_stripe("checkout.sessions.retrieve", "html_408", times=2)
    booking.pay_to_the_end()


@scenario
def refused_to_read_the_session_that_was_paid(booking: BookingDriver) -> None:
    """The API key may be another account's: the execution waits, and operators are notified once."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.fail_stripe("checkout.sessions.retrieve", "refuse", times=2)
    booking.pay_to_the_end()
    assert booking.notified() == ["StripeRefused"]


@scenario
def refused_to_read_the_session_that_is_closed(booking: BookingDriver) -> None:
    assert booking.pay_now().outcome == (201, 1)
    refuse = booking.faults.fail_stripe
    booking.faults.before(
        "expire_checkout_sessions",
        lambda: [refuse(f"checkout.sessions.{name}", "refuse") for name in ("expire", "retrieve")],
    )
    assert booking.cancel().outcome == (200, "expired")
    assert booking.notified() == ["StripeRefused"]


@scenario
def refused_for_good(booking: BookingDriver) -> None:
    """It is a failed attempt; operators are notified once, and the hold goes on."""
    booking.faults.fail_stripe("checkout.sessions.create", "refuse", times=4)
    assert booking.pay_now().outcome == (422, "PAYMENT_REFUSED")
    assert booking.retry().outcome == (422, "PAYMENT_REFUSED")
    assert booking.notified().count("PaymentRefused") == 1
    assert booking.cancel().outcome == (200, "expired")


@scenario
def invalid_email_address(booking: BookingDriver) -> None:
    booking.set_stored("reservations", "customer_email", "guest@example")
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()


@scenario
def email_address_with_a_blank(booking: BookingDriver) -> None:
    booking.set_stored("reservations", "customer_email", "guest@example.com ")
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()


@scenario.opened
def session_that_stripe_refuses_to_expire(booking: BookingDriver) -> None:
    """The dates are kept while the session can be paid."""
    booking.faults.fail_stripe("checkout.sessions.expire", "refuse")
    assert booking.cancel().outcome == (200, "expired")


@scenario.opened
def stripe_down_while_sessions_are_closed(booking: BookingDriver) -> None:
    """Dates whose session cannot be closed are not released."""
    booking.faults.before("expire_checkout_sessions", lambda: booking.faults.fail_stripe("*", times=1_000))
    booking.cancel_in_background()
    booking.wait_in("AwaitStripe")
    assert booking.reservation_status == "pending"
    booking.faults.stripe.clear()
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
