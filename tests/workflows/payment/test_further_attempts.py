"""Several attempts, and workflows that are interrupted → the states visited, and how everything stands afterwards."""

import json
from datetime import UTC, datetime, timedelta

from shared.domain.due import due_shard
from tests.harness.booking_driver import BookingDriver
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario.opened
def session_expired_at_stripe_then_retried_and_paid(booking: BookingDriver) -> None:
    """The end of a session is noticed, and the next one has its own idempotency key."""
    booking.expire_at_stripe()
    booking.wait_until_awaiting("retry")
    assert booking.status()["can_retry"] is True
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()
    keys = [request["idempotency_key"] for request in booking.stripe_requests("checkout.sessions.create")]
    assert keys == [f"booking-local:PAY-{booking.id}:checkout:1", f"booking-local:PAY-{booking.id}:checkout:2"]


@scenario
def attempts_exhausted_then_one_granted(booking: BookingDriver) -> None:
    """No route opens a fourth session until operators allow it."""
    last = 0
    for number in (1, 2, 3):
        assert booking.pay_now().outcome == (201, number)
        booking.expire_at_stripe()
        last = booking.wait_until_awaiting("retry", after=last)
    assert booking.retry().outcome == (409, "ATTEMPTS_EXHAUSTED")
    assert booking.pay_now().outcome == (409, "ATTEMPTS_EXHAUSTED")
    assert booking.status()["can_retry"] is False
    assert booking.call("POST", f"{booking.id}/attempts").status == 403
    assert booking.grant_attempt().status == 200
    assert booking.retry().outcome == (201, 4)
    booking.pay_to_the_end()


@scenario
def hold_shorter_than_a_checkout_window(booking: BookingDriver) -> None:
    """A session that would outlast the hold is never opened."""
    assert booking.pay_now().outcome == (409, "HOLD_ENDING")
    start_execution(booking, hold=timedelta(seconds=24))
    booking.wait_until_awaiting("retry")
    assert booking.retry().outcome == (409, "HOLD_ENDING")
    assert booking.pay_now().outcome == (409, "HOLD_ENDING")
    assert booking.cancel().outcome == (200, "expired")


def start_execution(booking: BookingDriver, *, hold: timedelta) -> None:
    """Start an execution that the API would refuse to start."""
    started_with = {
        "reservation_id": booking.id,
        "payment_id": booking.payment_id,
        "customer_id": booking.customer_id,
        "due_shard": due_shard(booking.payment_id),
        "hold_expires_at": (datetime.now(UTC) + hold).isoformat(timespec="milliseconds"),
        "success_url": "http://localhost:8400/booking/success",
        "cancel_url": "http://localhost:8400/booking/cancel",
    }
    booking.stack.states.start_execution(
        stateMachineArn=booking.stack.machine("payment"), name=booking.id, input=json.dumps(started_with)
    )


@scenario.opened
def waits_ended_by_hand(booking: BookingDriver) -> None:
    """Whatever ends a wait, the sessions are closed and the workflow goes on; a refresh changes nothing."""
    booking.stack.states.send_task_failure(taskToken=booking.payment["task_token"], error="ByHand")
    first = booking.wait_until_awaiting("retry")
    booking.stack.states.send_task_success(taskToken=booking.payment["task_token"], output='{"signal": "refresh"}')
    booking.wait_until_awaiting("retry", after=first)
    assert booking.retry().outcome == (201, 2)
    booking.pay_to_the_end()


@scenario.opened
def execution_stopped_and_replaced(booking: BookingDriver) -> None:
    """The replacement execution reads the item and waits for the same session."""
    first = booking.wait_until_awaiting("payment")
    booking.stack.admin.stop_execution(booking.id)
    booking.wait_until_awaiting("payment", after=first)
    assert booking.pay_now().outcome == (200, 1)
    assert booking.pay() == "paid"
    assert booking.wait_for_end(restart=1).status == "SUCCEEDED"


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
