"""Bookings that the platform cancels, reprices or confirms, at each step → how everything stands afterwards."""

from tests.harness.booking_driver import BookingDriver
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario
def cancelled_before_the_session(booking: BookingDriver) -> None:
    booking.faults.before("create_checkout_session", lambda: booking.change_reservation(status="cancelled"))
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario
def cancelled_while_the_session_is_created(booking: BookingDriver) -> None:
    """The session is never offered, and the next refresh closes it."""
    booking.faults.after("create_checkout_session", lambda: booking.change_reservation(status="cancelled"))
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    booking.wait_until_awaiting("payment")
    booking.session = booking.payment["attempts"]["1"]["stripe_checkout_session_id"]
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def cancelled_while_the_guest_pays(booking: BookingDriver) -> None:
    booking.faults.before("verify_payment", lambda: booking.change_reservation(status="cancelled"))
    booking.pay_to_the_end()


@scenario.opened
def cancelled_before_the_confirmation(booking: BookingDriver) -> None:
    booking.faults.before("confirm_reservation", lambda: booking.change_reservation(status="cancelled"))
    booking.pay_to_the_end()


@scenario.opened
def night_given_away_before_the_confirmation(booking: BookingDriver) -> None:
    """The guest is charged but the dates are gone: the money goes back, and the other guest keeps the night."""
    booking.faults.before("confirm_reservation", booking.lose_night)
    booking.pay_to_the_end()


@scenario.opened
def cancelled_between_two_attempts(booking: BookingDriver) -> None:
    """The booking can no longer be paid."""
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    booking.change_reservation(status="cancelled")
    assert booking.retry().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.cancel().outcome == (200, "expired")


@scenario.opened
def cancelled_before_another_session(booking: BookingDriver) -> None:
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    booking.faults.before("create_checkout_session", lambda: booking.change_reservation(status="cancelled"))
    assert booking.retry().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def cancelled_while_the_session_is_closed(booking: BookingDriver) -> None:
    """The price changes, and then there is nothing left to pay."""
    booking.change_reservation(total_amount=50_000)
    booking.faults.before("expire_checkout_sessions", lambda: booking.change_reservation(status="cancelled"))
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def cancelled_while_the_hold_is_released(booking: BookingDriver) -> None:
    """The dates are released once, whoever asks first."""
    booking.faults.before("release_hold", lambda: booking.change_reservation(status="cancelled"))
    assert booking.cancel().outcome == (200, "expired")


@scenario.opened
def cancelled_after_the_confirmation(booking: BookingDriver) -> None:
    """The repeated state finds the booking confirmed, so the payment stays applied whatever the platform does."""
    booking.faults.fail_aws("lambda.Invoke", "unanswered", containing="confirm-reservation")
    booking.faults.after("confirm_reservation", lambda: booking.change_reservation(status="cancelled"))
    booking.pay_to_the_end()


@scenario
def repriced_before_the_session(booking: BookingDriver) -> None:
    """The session asks for the current price."""
    booking.faults.before("create_checkout_session", lambda: booking.change_reservation(total_amount=50_000))
    assert booking.pay_now().outcome == (201, 1)
    assert booking.payment["amount"] == 50_000
    booking.pay_to_the_end()


@scenario.opened
def repriced_while_a_session_is_open(booking: BookingDriver) -> None:
    """The next refresh closes a session at the old price."""
    booking.change_reservation(total_amount=50_000)
    assert booking.return_from_stripe().outcome == (200, "pending")
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario.opened
def repriced_while_the_guest_pays(booking: BookingDriver) -> None:
    """The payment at the old price is refunded; the new price may be paid."""
    booking.faults.before("verify_payment", lambda: booking.change_reservation(total_amount=50_000))
    assert booking.pay() == "paid"
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario.opened
def repriced_before_the_confirmation(booking: BookingDriver) -> None:
    """The confirming transaction itself compares the amounts."""
    booking.faults.before("confirm_reservation", lambda: booking.change_reservation(total_amount=50_000))
    assert booking.pay() == "paid"
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario.opened
def confirmed_by_the_platform(booking: BookingDriver) -> None:
    """A booking that is paid another way keeps its dates; its session is closed and operators are notified once."""
    booking.change_reservation(status="confirmed")
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert booking.notified().count("BookedElsewhere") == 1
    assert booking.published_types() == []
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.cancel().outcome == (409, "ALREADY_PAID")


@scenario.opened
def confirmed_by_the_platform_while_the_guest_pays(booking: BookingDriver) -> None:
    """The guest has paid twice, so our money goes back."""
    booking.faults.before("verify_payment", lambda: booking.change_reservation(status="confirmed"))
    booking.pay_to_the_end()


@scenario.opened
def confirmed_by_the_platform_while_the_hold_is_released(booking: BookingDriver) -> None:
    """The repeat of a release whose answer was lost finds the same."""
    booking.faults.before("release_hold", lambda: booking.change_reservation(status="confirmed"))
    booking.faults.fail_aws("lambda.Invoke", "unanswered", containing="release-hold")
    assert booking.cancel().outcome == (409, "ALREADY_PAID")


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
