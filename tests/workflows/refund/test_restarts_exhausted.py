"""Three replacements have died, and a person lets the booking go on, as docs/operations.md says."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from local.aws import emulator
from shared.adapters.step_functions import execution_name
from tests.workflows.refund.conftest import PENDING, World, until


def test_a_payment_goes_on_once_its_generation_is_counted_up(world: World) -> None:
    booking = world.held()
    session = booking.press_pay_now()["checkout_session_id"]
    names = [execution_name(booking.id, restart) for restart in range(5)]

    def waits(name: str) -> bool:
        try:
            return world.admin.execution(name).waiting_in == "AwaitPayment"
        except LookupError:
            return False

    for name in names[:4]:
        until(functools.partial(waits, name), f"{name} to wait for the guest")
        world.admin.stop_execution(name)
    until(lambda: "restarts_exhausted" in booking.item.get("notified", ()), "a person to be asked")
    world.table("payments").update_item(
        Key={"payment_id": booking.payment_id},
        UpdateExpression="SET restarts = :next DELETE told :restarts_exhausted",
        ConditionExpression="restarts = :last",
        ExpressionAttributeValues={":last": 3, ":next": 4, ":restarts_exhausted": {"restarts_exhausted"}},
    )
    booking.put("updated_at", (datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    assert world.admin.reconcile()["execution_missing"] == 1
    until(lambda: waits(names[4]), f"{names[4]} to wait for the guest")
    assert world.admin.reconcile().keys().isdisjoint({"restarts_exhausted", "execution_missing", "replacement_started"})
    world.stripe.pay(session)
    until(lambda: booking.reservation == "confirmed", "the booking to be confirmed")
    until(lambda: world.admin.execution(names[4]).status == "SUCCEEDED", "the execution to end")


def test_a_refund_goes_on_under_the_next_name_and_the_reconciler_leaves_it_alone(world: World) -> None:
    booking = world.paid(card=PENDING)
    booking.cancel()
    names = [execution_name(booking.cancellation, restart) for restart in range(5)]
    for name in names[:4]:
        booking.wait_for("AwaitRefundSettlement", name)
        world.admin.stop_execution(name, "refund")
    until(lambda: world.told_operators(f"RefundRestartsExhausted: reservation {booking.id}"), "a person to be asked")
    states: Any = boto3.client("stepfunctions", region_name=emulator.REGION)
    machine = world.stack.outputs["refundStateMachineArn"]
    last = states.describe_execution(executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{names[3]}")
    states.start_execution(stateMachineArn=f"{machine}:live", name=names[4], input=last["input"])
    booking.wait_for("AwaitRefundSettlement", names[4])
    assert booking.entry()["execution"] == names[4]
    assert world.admin.reconcile().keys().isdisjoint({"refund_restarts_exhausted", "refund_replacement_started"})
    world.stripe.settle_refund(booking.entry()["stripe_refund_id"], "succeeded")
    assert booking.wait_for_end(names[4]).status == "SUCCEEDED"
    assert booking.entry()["status"] == "succeeded"
    assert len(booking.refunds_at_stripe()) == 1
