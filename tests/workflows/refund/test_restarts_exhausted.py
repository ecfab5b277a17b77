"""Three replacements have died, and an operator lets the booking go on, as docs/operations.md says."""

from datetime import UTC, datetime, timedelta

from shared.adapters.step_functions import execution_name, payment_execution_name
from tests.harness.booking_driver import REFUND_PENDING
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until


def test_a_payment_goes_on_once_its_restarts_are_raised(stack: RunningStack) -> None:
    booking = stack.reserve()
    assert booking.pay_now().outcome == (201, 1)
    for restart in range(4):
        booking.wait_in("AwaitPayment", restart)
        stack.admin.stop_execution(payment_execution_name(booking.id, restart))
    wait_until(lambda: "restarts_exhausted" in booking.payment.get("notified", ()), "the notification of operators")
    stack.table("payments").update_item(
        Key={"payment_id": booking.payment_id},
        UpdateExpression="SET restarts = :next DELETE notified :restarts_exhausted",
        ConditionExpression="restarts = :last",
        ExpressionAttributeValues={":last": 3, ":next": 4, ":restarts_exhausted": {"restarts_exhausted"}},
    )
    booking.set_stored("payments", "updated_at", (datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    assert stack.admin.reconcile()["execution_missing"] == 1
    booking.wait_in("AwaitPayment", restart=4)
    assert stack.admin.reconcile().keys().isdisjoint({"restarts_exhausted", "execution_missing", "replacement_started"})
    assert booking.pay() == "paid"
    assert booking.wait_for_end(restart=4).status == "SUCCEEDED"
    assert booking.reservation_status == "confirmed"


def test_a_refund_goes_on_under_the_next_name_and_the_reconciler_leaves_it_alone(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.refund()
    names = [execution_name(booking.cancellation_id, restart) for restart in range(5)]
    for name in names[:4]:
        booking.wait_refund_in("AwaitRefundSettlement", name)
        stack.admin.stop_execution(name, "refund")
    wait_until(lambda: "RefundRestartsExhausted" in booking.notified(), "the notification of operators")
    last = stack.states.describe_execution(executionArn=stack.execution_arn(names[3], "refund"))
    stack.states.start_execution(stateMachineArn=f"{stack.machine('refund')}:live", name=names[4], input=last["input"])
    booking.wait_refund_in("AwaitRefundSettlement", names[4])
    assert booking.entry()["execution"] == names[4]
    assert stack.admin.reconcile().keys().isdisjoint({"refund_restarts_exhausted", "refund_replacement_started"})
    stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "succeeded")
    assert booking.wait_for_refund_end(names[4]).status == "SUCCEEDED"
    assert booking.entry()["status"] == "succeeded"
    assert len(booking.refunds_at_stripe()) == 1
