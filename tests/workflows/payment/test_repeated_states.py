"""AWS refuses a call or loses its answer, so that a state runs again → how everything stands afterwards."""

from typing import Any

from local.aws import emulator
from tests.harness.booking_driver import BookingDriver
from tests.harness.waiting import wait_until
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario.opened
def confirmation_committed_without_an_answer(booking: BookingDriver) -> None:
    """Reading finds what was written."""
    booking.faults.fail_aws("dynamodb.TransactWriteItems", "unanswered", 3, caller="confirm_reservation")
    booking.pay_to_the_end()
    assert booking.published_types() == ["PaymentConfirmed"]


@scenario.opened
def confirmation_meets_a_transaction_conflict(booking: BookingDriver) -> None:
    """A conflict is not a refusal."""
    booking.faults.fail_aws("dynamodb.TransactWriteItems", "conflict", caller="confirm_reservation")
    booking.pay_to_the_end()


@scenario.opened
def confirmation_throttled(booking: BookingDriver) -> None:
    """The SDK gives up after three refusals; the state retries."""
    booking.faults.fail_aws("dynamodb.TransactWriteItems", "throttled", 3, caller="confirm_reservation")
    booking.pay_to_the_end()


@scenario.opened
def release_committed_without_an_answer(booking: BookingDriver) -> None:
    """The repeat finds the work done."""
    booking.faults.fail_aws("dynamodb.TransactWriteItems", "unanswered", 3, caller="release_hold")
    assert booking.cancel().outcome == (200, "expired")


@scenario
def payment_recorded_twice(booking: BookingDriver) -> None:
    booking.faults.fail_aws("dynamodb.PutItem", "unanswered")
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()


@scenario
def session_created_twice(booking: BookingDriver) -> None:
    booking.faults.fail_aws("lambda.Invoke", "unanswered", containing="create-checkout-session")
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()
    assert len(booking.stripe_requests("checkout.sessions.create")) == 2


@scenario
def session_published_twice(booking: BookingDriver) -> None:
    """The second token resumes the workflow; the first belongs to a try that is over."""
    booking.faults.fail_aws("dynamodb.UpdateItem", "unanswered")
    assert booking.pay_now().outcome == (201, 1)
    wait_until(lambda: booking.payment["token_sequence"] % 100 == 1, "the second try to be published")
    booking.pay_to_the_end()


@scenario
def verification_confirmation_and_publishing_run_twice(booking: BookingDriver) -> None:
    for function in ("verify-payment", "confirm-reservation"):
        booking.faults.fail_aws("lambda.Invoke", "unanswered", containing=function)
    booking.faults.fail_aws("events.PutEvents", "unanswered")
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()
    assert booking.published_types() == ["PaymentConfirmed", "PaymentConfirmed"]


@scenario
def closing_failure_record_and_wait_run_twice(booking: BookingDriver) -> None:
    booking.faults.fail_aws("lambda.Invoke", "unanswered", containing="expire-checkout-sessions")
    booking.faults.before("verify_payment", lambda: booking.faults.fail_aws("dynamodb.UpdateItem", "unanswered", 2))
    assert booking.pay_now().outcome == (201, 1)
    booking.force_payment(amount=1)
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario
def refund_start_without_an_answer(booking: BookingDriver) -> None:
    """The repeated start finds the refund started, and starts no second one."""
    booking.faults.fail_aws("states.StartExecution", "unanswered")
    assert booking.pay_now().outcome == (201, 1)
    booking.force_payment(amount=1)
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario
def closing_release_and_publishing_run_twice(booking: BookingDriver) -> None:
    for function in ("expire-checkout-sessions", "release-hold"):
        booking.faults.fail_aws("lambda.Invoke", "unanswered", containing=function)
    booking.faults.fail_aws("events.PutEvents", "unanswered")
    assert booking.pay_now().outcome == (201, 1)
    assert booking.cancel().outcome == (200, "expired")
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert booking.published_types() == ["HoldReleased", "HoldReleased"]


@scenario.opened
def every_function_repeated_after_the_confirmation(booking: BookingDriver) -> None:
    """Nothing moves backwards."""
    booking.pay_to_the_end()
    item = booking.payment
    (pi,) = item["captures"]
    assert invoke(booking, "create-checkout-session") == "ReservationNotPayable"
    assert invoke(booking, "verify-payment", refunds_started=[]) == "confirm"
    assert invoke(booking, "expire-checkout-sessions", refunds_started=[]) == "confirm"
    assert invoke(booking, "confirm-reservation", payment_intent=pi) == "confirmed"
    assert invoke(booking, "release-hold") == "BookedElsewhere"
    assert booking.payment == item


@scenario.opened
def every_function_repeated_after_the_release(booking: BookingDriver) -> None:
    """Nothing comes back to life."""
    assert booking.cancel().outcome == (200, "expired")
    assert booking.wait_for_end().status == "SUCCEEDED"
    item = booking.payment
    assert invoke(booking, "create-checkout-session") == "ReservationNotPayable"
    assert invoke(booking, "verify-payment", refunds_started=[]) == "release_hold"
    assert invoke(booking, "expire-checkout-sessions", refunds_started=[]) == "release_hold"
    assert invoke(booking, "release-hold") == "released"
    assert booking.payment == item


def invoke(booking: BookingDriver, function: str, **more: Any) -> str:
    """What the function answers: its next step, else what it did, else its error's name."""
    event = {"reservation_id": booking.id, "payment_id": booking.payment_id, "execution": booking.id, **more}
    answer, _ = emulator.invoke(f"booking-local-{function}", event)
    done = "confirmed" if "amount" in answer.get("event", {}) else "released"
    return str(answer.get("next_step") or answer.get("errorType") or done)


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
