"""Functions that fail → the error reaches a person, a replacement goes on, and how everything stands afterwards."""

from tests.harness.booking_driver import BookingDriver
from tests.harness.waiting import wait_until
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario
def functions_fail_before_the_confirmation(booking: BookingDriver) -> None:
    """No execution hangs, and none that failed succeeds."""
    for function in ("create_checkout_session", "confirm_reservation"):
        booking.faults.fail_function(function, "ZeroDivisionError")
    # The first run is the replacement's, before there is a session; the one that fails comes after the payment.
    booking.faults.before("verify_payment", lambda: booking.faults.fail_function("verify_payment", "ZeroDivisionError"))
    booking.faults.fail_aws("sns.Publish", "unanswered")
    booking.pay_now_once()
    booking.wait_until_awaiting("payment")
    assert booking.pay_now().outcome == (200, 1)
    assert booking.pay() == "paid"
    assert booking.wait_for_end(restart=3).status == "SUCCEEDED"
    assert booking.notified().count("ZeroDivisionError") == 4


@scenario
def functions_fail_before_the_release(booking: BookingDriver) -> None:
    """A half-done release is finished."""
    for function in ("expire_checkout_sessions", "release_hold"):
        booking.faults.fail_function(function, "ZeroDivisionError")
    assert booking.pay_now().outcome == (201, 1)
    booking.cancel_in_background()
    booking.start_replacement(2)  # the second one without progress comes a minute later
    assert booking.wait_for_end(restart=2).status == "SUCCEEDED"


@scenario.opened
def webhook_cannot_read_the_payment(booking: BookingDriver) -> None:
    """It answers 5xx and records nothing; the redelivery works."""
    booking.faults.fail_aws("dynamodb.BatchGetItem", "throttled", 1_000, caller="stripe_webhook")
    assert booking.pay() == "paid"
    (event,) = booking.events("checkout.session.completed")
    wait_until(lambda: booking.deliveries(event), "a first delivery")
    assert set(booking.deliveries(event)) == {503}
    assert booking.processing_result(event) is None
    assert booking.payment["status"] == "pending"
    booking.faults.clear_aws()
    assert booking.wait_for_end().status == "SUCCEEDED"
    wait_until(lambda: booking.deliveries(event)[-1] == 200, "the redelivery")


@scenario.opened
def webhook_cannot_signal_the_workflow(booking: BookingDriver) -> None:
    """The event is recorded as an error, which the redelivery replaces."""
    booking.faults.fail_aws("states.SendTaskSuccess", "throttled", 1_000, caller="stripe_webhook")
    assert booking.pay() == "paid"
    (event,) = booking.events("checkout.session.completed")
    wait_until(lambda: booking.deliveries(event), "a first delivery")
    assert set(booking.deliveries(event)) == {503}
    assert booking.processing_result(event) == "error"
    assert booking.payment["status"] == "pending"
    booking.faults.clear_aws()
    assert booking.wait_for_end().status == "SUCCEEDED"
    wait_until(lambda: booking.processing_result(event) in {"success", "duplicate"}, "the redelivery")


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
