"""Bookings that the platform cancels, reprices or confirms, at each step → how everything stands afterwards."""

from typing import Any

from tests.harness.booking_driver import BookingDriver
from tests.workflows.payment.scenarios import (
    REFUNDED,
    UNAPPLIED,
    Results,
    Scenario,
    ScenarioTable,
    confirmed,
    refunded,
    released,
)

scenario = ScenarioTable()

REPRICED: dict[str, Any] = {
    "sessions": ["complete", "complete"],
    "captures": [UNAPPLIED, (50_000, "EUR", "booking")],
    "attempts": ["paid", "paid"],
    "refunds": [REFUNDED],
}


@scenario(released("RecordPayment CreateCheckoutSession CLOSED RELEASED", sessions=[], attempts=[]), defects=("D-04",))
def cancelled_before_the_session(booking: BookingDriver) -> None:
    booking.faults.before("create_checkout_session", lambda: booking.change_reservation(status="cancelled"))
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario(released("OPENED VERIFIED CLOSED RELEASED"), defects=("D-04",))
def cancelled_while_the_session_is_created(booking: BookingDriver) -> None:
    """The session is never offered, and the next refresh closes it."""
    booking.faults.after("create_checkout_session", lambda: booking.change_reservation(status="cancelled"))
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    booking.wait_until_awaiting("payment")
    booking.session = booking.payment["attempts"]["1"]["stripe_checkout_session_id"]
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario(refunded("OPENED VERIFIED REFUND_STARTED RELEASED"), defects=("D-04", "P-01"))
def cancelled_while_the_guest_pays(booking: BookingDriver) -> None:
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("verify_payment", lambda: booking.change_reservation(status="cancelled"))
    booking.pay_to_the_end()


@scenario(refunded("OPENED VERIFIED ConfirmReservation REFUND_STARTED RELEASED"), defects=("D-04",))
def cancelled_before_the_confirmation(booking: BookingDriver) -> None:
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("confirm_reservation", lambda: booking.change_reservation(status="cancelled"))
    booking.pay_to_the_end()


@scenario(
    refunded(
        "OPENED VERIFIED ConfirmReservation REFUND_STARTED RELEASED",
        reservation="expired",
        nights="another's, available",
    ),
    defects=("P-01", "D-04"),
)
def night_given_away_before_the_confirmation(booking: BookingDriver) -> None:
    """The guest is charged but the dates are gone: the money goes back, and the other guest keeps the night."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("confirm_reservation", booking.lose_night)
    booking.pay_to_the_end()


@scenario(released("OPENED VERIFIED FAILED RetrySignal? CLOSED RELEASED"), defects=("D-07",))
def cancelled_between_two_attempts(booking: BookingDriver) -> None:
    """The booking can no longer be paid."""
    assert booking.pay_now().outcome == (201, 1)
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    booking.change_reservation(status="cancelled")
    assert booking.retry().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.cancel().outcome == (200, "expired")


@scenario(released("OPENED VERIFIED FAILED RetrySignal? CreateCheckoutSession CLOSED RELEASED"), defects=("D-04",))
def cancelled_before_another_session(booking: BookingDriver) -> None:
    assert booking.pay_now().outcome == (201, 1)
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    booking.faults.before("create_checkout_session", lambda: booking.change_reservation(status="cancelled"))
    assert booking.retry().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario(released("OPENED VERIFIED CLOSED RELEASED"), defects=("D-04",))
def cancelled_while_the_session_is_closed(booking: BookingDriver) -> None:
    """The price changes, and then there is nothing left to pay."""
    assert booking.pay_now().outcome == (201, 1)
    booking.change_reservation(total_amount=50_000)
    booking.faults.before("expire_checkout_sessions", lambda: booking.change_reservation(status="cancelled"))
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario(released("OPENED VERIFIED CLOSED RELEASED"), defects=("D-33", "D-34"))
def cancelled_while_the_hold_is_released(booking: BookingDriver) -> None:
    """The dates are released once, whoever asks first."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("release_hold", lambda: booking.change_reservation(status="cancelled"))
    assert booking.cancel().outcome == (200, "expired")


@scenario(confirmed("OPENED VERIFIED CONFIRMED", reservation="cancelled"))
def cancelled_after_the_confirmation(booking: BookingDriver) -> None:
    """The repeated state finds the booking confirmed, so the payment stays applied whatever the platform does."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.fail_aws("lambda.Invoke", "unanswered", containing="confirm-reservation")
    booking.faults.after("confirm_reservation", lambda: booking.change_reservation(status="cancelled"))
    booking.pay_to_the_end()


@scenario(confirmed("OPENED VERIFIED CONFIRMED", captures=[(50_000, "EUR", "booking")]), defects=("D-06",))
def repriced_before_the_session(booking: BookingDriver) -> None:
    """The session asks for the current price."""
    booking.faults.before("create_checkout_session", lambda: booking.change_reservation(total_amount=50_000))
    assert booking.pay_now().outcome == (201, 1)
    assert booking.payment["amount"] == 50_000
    booking.pay_to_the_end()


@scenario(
    confirmed(
        "OPENED VERIFIED CLOSED FAILED OPENED_AGAIN VERIFIED CONFIRMED",
        sessions=["expired", "complete"],
        captures=[(50_000, "EUR", "booking")],
        attempts=["closed", "paid"],
    ),
    defects=("D-06",),
)
def repriced_while_a_session_is_open(booking: BookingDriver) -> None:
    """The next refresh closes a session at the old price."""
    assert booking.pay_now().outcome == (201, 1)
    booking.change_reservation(total_amount=50_000)
    assert booking.return_from_stripe().outcome == (200, "pending")
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario(
    confirmed("OPENED VERIFIED REFUND_STARTED FAILED OPENED_AGAIN VERIFIED CONFIRMED", **REPRICED), defects=("D-06",)
)
def repriced_while_the_guest_pays(booking: BookingDriver) -> None:
    """The payment at the old price is refunded; the new price may be paid."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("verify_payment", lambda: booking.change_reservation(total_amount=50_000))
    assert booking.pay() == "paid"
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario(
    confirmed("OPENED VERIFIED ConfirmReservation REFUND_STARTED FAILED OPENED_AGAIN VERIFIED CONFIRMED", **REPRICED),
    defects=("D-06",),
)
def repriced_before_the_confirmation(booking: BookingDriver) -> None:
    """The confirming transaction itself compares the amounts."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("confirm_reservation", lambda: booking.change_reservation(total_amount=50_000))
    assert booking.pay() == "paid"
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


BOOKED_ELSEWHERE = "ReleaseHold NotifyBookedElsewhere BookedElsewhere"
KEPT: dict[str, Any] = {"reservation": "confirmed", "nights": "booked"}


@scenario(released(f"OPENED VERIFIED CLOSED {BOOKED_ELSEWHERE}", **KEPT), defects=("D-15", "R-10"))
def confirmed_by_the_platform(booking: BookingDriver) -> None:
    """A booking that is paid another way keeps its dates; its session is closed and operators are notified once."""
    assert booking.pay_now().outcome == (201, 1)
    booking.change_reservation(status="confirmed")
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert booking.notified().count("BookedElsewhere") == 1
    assert booking.published_types() == []
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")
    assert booking.cancel().outcome == (409, "ALREADY_PAID")


@scenario(refunded(f"OPENED VERIFIED REFUND_STARTED {BOOKED_ELSEWHERE}", **KEPT), defects=("R-10",))
def confirmed_by_the_platform_while_the_guest_pays(booking: BookingDriver) -> None:
    """The guest has paid twice, so our money goes back."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("verify_payment", lambda: booking.change_reservation(status="confirmed"))
    booking.pay_to_the_end()


@scenario(released(f"OPENED VERIFIED CLOSED {BOOKED_ELSEWHERE}", **KEPT), defects=("R-10",))
def confirmed_by_the_platform_while_the_hold_is_released(booking: BookingDriver) -> None:
    """The repeat of a release whose answer was lost finds the same."""
    assert booking.pay_now().outcome == (201, 1)
    booking.faults.before("release_hold", lambda: booking.change_reservation(status="confirmed"))
    booking.faults.fail_aws("lambda.Invoke", "unanswered", containing="release-hold")
    assert booking.cancel().outcome == (409, "ALREADY_PAID")


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
