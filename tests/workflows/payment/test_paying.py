"""Bookings that are paid in their first session → the states visited, and how everything stands afterwards."""

import json

from tests.harness.booking_driver import CHALLENGED, DECLINED, NO_FUNDS, BookingDriver
from tests.harness.running_stack import in_parallel
from tests.harness.waiting import wait_until
from tests.workflows.payment.scenarios import Results, Scenario, ScenarioTable

scenario = ScenarioTable(__file__)


@scenario.opened
def paid_at_once(booking: BookingDriver) -> None:
    """The payment that the session belongs to is the one that is completed."""
    assert booking.pay_on_page() == 303
    assert booking.wait_for_end().status == "SUCCEEDED"
    item = booking.payment
    (pi,) = item["captures"]
    assert item["stripe_payment_intent_id"] == pi
    assert booking.stack.admin.reservation(booking.id)["payment_id"] == item["payment_id"] == f"PAY-{booking.id}"
    assert booking.published_types() == ["PaymentConfirmed"]
    assert booking.pay_now().outcome == (400, "RESERVATION_NOT_PAYABLE")


@scenario.opened
def declined_twice_in_one_session_then_paid(booking: BookingDriver) -> None:
    """Declines are counted, and use up no attempt."""
    assert booking.pay_on_page(DECLINED) == 402
    assert booking.pay_on_page(NO_FUNDS) == 402
    wait_until(lambda: len(booking.payment["attempts"]["1"]["declines"]) == 2, "both declines to be recorded")
    status = booking.status()
    assert (status["payment_attempts"], status["attempts_left"], status["attempts"][0]["declines"]) == (1, 2, 2)
    assert booking.pay_now().outcome == (200, 1)
    assert booking.pay_on_page() == 303
    assert booking.wait_for_end().status == "SUCCEEDED"
    assert sorted(booking.payment["attempts"]["1"]["declines"].values()) == ["generic_decline", "insufficient_funds"]


@scenario
def decline_delivered_after_the_payment(booking: BookingDriver) -> None:
    """An older event does not undo a payment."""
    booking.faults.webhooks = "hold"
    assert booking.pay_now().outcome == (201, 1)
    assert booking.pay(DECLINED) == "declined"
    assert booking.pay() == "paid"
    booking.release_webhooks("checkout.session.completed")
    assert booking.wait_for_end().status == "SUCCEEDED"
    booking.release_webhooks()
    wait_until(lambda: len(booking.payment["attempts"]["1"]["declines"]) == 1, "the decline to be recorded")
    assert booking.payment["status"] == "completed"


@scenario.opened
def paid_after_a_3d_secure_challenge(booking: BookingDriver) -> None:
    assert booking.pay(CHALLENGED) == "challenge"
    assert booking.pass_challenge() == 303
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario
def webhooks_delivered_twice(booking: BookingDriver) -> None:
    """There is one payment, however often its events are delivered."""
    booking.faults.webhooks = "duplicate"
    assert booking.pay_now().outcome == (201, 1)
    booking.pay_to_the_end()
    assert booking.published_types() == ["PaymentConfirmed"]


@scenario
def webhooks_delivered_newest_first(booking: BookingDriver) -> None:
    """The order of events does not matter."""
    booking.faults.webhooks = "reverse"
    assert booking.pay_now().outcome == (201, 1)
    assert booking.pay(DECLINED) == "declined"
    booking.pay_to_the_end()


@scenario
def webhook_missing_but_the_guest_returns(booking: BookingDriver) -> None:
    """A guest who returns from Stripe refreshes the workflow."""
    booking.faults.webhooks = "hold"
    assert booking.pay_now().outcome == (201, 1)
    assert booking.pay() == "paid"
    assert booking.return_from_stripe().status == 200
    assert booking.wait_for_end().status == "SUCCEEDED"


@scenario.opened
def refreshed_before_the_payment(booking: BookingDriver) -> None:
    """A refresh that finds no payment goes back to waiting, with the same session."""
    first = booking.wait_until_awaiting("payment")
    assert booking.return_from_stripe().outcome == (200, "pending")
    booking.wait_until_awaiting("payment", after=first)
    assert booking.pay_now().outcome == (200, 1)
    booking.pay_to_the_end()


@scenario.opened
def paid_while_the_workflow_waits_for_no_signal(booking: BookingDriver) -> None:
    """The event finds no task token to answer, and is not lost."""
    booking.faults.before("verify_payment", booking.pay)
    assert booking.return_from_stripe().outcome == (200, "pending")
    assert booking.wait_for_end().status == "SUCCEEDED"
    (event,) = booking.events("payment_intent.succeeded")
    wait_until(lambda: booking.processing_result(event) == "duplicate", "the event to be recorded")


@scenario
def ten_simultaneous_calls(booking: BookingDriver) -> None:
    """There is one execution, one session and one answer."""
    answers = in_parallel(10, lambda _: booking.pay_now_once())
    assert {answer.status for answer in answers} <= {200, 201}
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    assert len(booking.stripe_requests("checkout.sessions.create")) == 1
    names = [execution["name"] for execution in booking.stack.admin.executions("payment")]
    assert [name for name in names if booking.id in name] == [booking.id]
    booking.pay_to_the_end()


@scenario.parametrize()
def test_scenario(case: Scenario, results: Results) -> None:
    results.check(case)
