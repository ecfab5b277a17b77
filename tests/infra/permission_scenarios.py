"""Scenarios that together make every AWS call which a function or a state machine makes, on a local stack."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

import pytest

from lambdas import reconcile_ledger
from tests.harness.booking_driver import DECLINED, REFUND_FAILS_LATER, REFUND_PENDING, BookingDriver
from tests.harness.reconciled_days import differences_of, move_to_yesterday, reconcile
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until


def reserve_and_press_pay_now(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve()
    assert booking.pay_now().status == 201
    return booking


def cancel_pending_refund(stack: RunningStack) -> BookingDriver:
    """Cancel a paid booking whose refund stays pending at Stripe."""
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.refund()
    booking.wait_refund_in("AwaitRefundSettlement")
    return booking


def settle_refund(booking: BookingDriver, status: Literal["succeeded", "failed"]) -> str:
    refund = str(booking.entry()["stripe_refund_id"])
    booking.stack.stripe.settle_refund(refund, status)
    return refund


def paid_at_once(stack: RunningStack) -> None:
    stack.reserve_paid()


def declined_then_expired_then_retried(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    booking.pay(DECLINED)
    booking.expire_at_stripe()
    booking.wait_in("AwaitRetry")
    assert booking.retry().status == 201


def cancelled_unpaid(stack: RunningStack) -> None:
    assert reserve_and_press_pay_now(stack).cancel().status == 200


def cancelled_by_the_platform(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    booking.change_reservation(status="cancelled")
    assert booking.cancel().status == 200


def cancelled_unpaid_and_then_paid(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    assert booking.cancel().status == 200
    booking.wait_for_refund_end(f"REF-{booking.force_payment()}")


def returned_before_the_confirmation(stack: RunningStack, *, cancelled: bool = False) -> None:
    """Money whose event never comes is returned; VerifyPayment finds it, or ExpireCheckoutSessions."""
    booking = reserve_and_press_pay_now(stack)
    booking.faults.webhooks = "drop"
    booking.pay()
    stack.stripe.dashboard_refund(booking.session_intent, 100)
    if cancelled:
        assert booking.cancel().status == 200
    else:
        booking.return_from_stripe()
        booking.wait_in("AwaitRetry")


def returned_before_the_cancellation(stack: RunningStack) -> None:
    returned_before_the_confirmation(stack, cancelled=True)


def charged_by_another_system(stack: RunningStack) -> None:
    """Copy the metadata of a booking onto a charge that belongs to no session."""
    booking = reserve_and_press_pay_now(stack)
    (session,) = booking.sessions()
    stack.stripe.charge_elsewhere(amount=500, metadata=session["metadata"])
    wait_until(lambda: "attention_since" in booking.payment, "the matter")
    closed = booking.call(
        "POST", f"{booking.id}/attention/unmatched_charge/close", {"note": "Not a booking."}, token=stack.operator
    )
    assert (closed.status, closed.body.get("attention")) == (200, []), closed.body


def refused_by_stripe(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.faults.fail_stripe("checkout.sessions.create", "refuse", 2)
    assert booking.pay_now().status == 422


def price_changed_before_it_is_paid(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    booking.change_reservation(total_amount=50_000)
    booking.pay()
    wait_until(lambda: "RefundUnusablePayment" in booking.execution().visited, "the refund to start")


def night_lost_before_it_is_paid(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    booking.lose_night()
    booking.pay()
    wait_until(lambda: "RefundUnusablePayment" in booking.execution().visited, "the refund to start")


def confirmed_by_the_platform(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    booking.change_reservation(status="confirmed")
    booking.call("POST", f"{booking.id}/cancel")
    assert booking.wait_for_end().visited[-1] == "BookedElsewhere"


def cancelled_with_a_refund(stack: RunningStack) -> None:
    assert stack.reserve_paid().refund().status in {200, 202}


def refund_that_settles_late(stack: RunningStack) -> None:
    booking = cancel_pending_refund(stack)
    settle_refund(booking, "succeeded")
    booking.wait_for_refund_end()


def refund_that_fails_after_it_succeeded(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.refund()
    booking.wait_for_refund_end()
    refund = settle_refund(booking, "failed")
    booking.wait_refund_in("AwaitOperator", f"failed-{refund}")
    assert booking.resolve(booking.cancellation_id, "settled_elsewhere").status == 200


def refunded_and_disputed_at_stripe(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    stack.stripe.dashboard_refund(booking.payment_intent, 100)
    stack.stripe.open_dispute(booking.payment_intent)
    wait_until(lambda: booking.payment["refunds"] and booking.payment["disputes"], "both to be recorded")


def warned_of_fraud(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    stack.stripe.warn_of_fraud(booking.payment_intent)
    wait_until(lambda: "attention_since" in booking.payment, "the matter")


def payment_stopped(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    stack.admin.stop_execution(booking.id)
    booking.wait_in("AwaitPayment", restart=1)


def paid_while_stripe_refuses_to_read_its_session(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    booking.faults.fail_stripe("checkout.sessions.retrieve", "refuse")
    booking.pay_to_the_end()


def cancelled_while_stripe_refuses_to_read_its_session(stack: RunningStack) -> None:
    booking = reserve_and_press_pay_now(stack)
    refuse = booking.faults.fail_stripe
    booking.faults.before(
        "expire_checkout_sessions",
        lambda: [refuse(f"checkout.sessions.{name}", "refuse") for name in ("expire", "retrieve")],
    )
    assert booking.cancel().status == 200


def refund_stopped(stack: RunningStack) -> None:
    booking = cancel_pending_refund(stack)
    stack.admin.stop_execution(booking.cancellation_id, "refund")
    wait_until(lambda: stack.local.admin.replacement(booking.cancellation_id, "refund"), "the replacement")


def read_by_operators(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    assert booking.refund().status in {200, 202}
    executions = (f"{booking.id}/executions/{name}" for name in (booking.id, booking.cancellation_id))
    for path in (
        "",
        "?attention=true",
        f"?q={booking.payment_intent}",
        *(f"/{of}" for of in (booking.id, *executions)),
    ):
        assert stack.request("GET", f"payments{path}", stack.operator).status_code == 200


SCENARIOS = (
    read_by_operators,
    paid_at_once,
    declined_then_expired_then_retried,
    cancelled_unpaid,
    cancelled_by_the_platform,
    cancelled_unpaid_and_then_paid,
    returned_before_the_confirmation,
    returned_before_the_cancellation,
    charged_by_another_system,
    refused_by_stripe,
    price_changed_before_it_is_paid,
    night_lost_before_it_is_paid,
    confirmed_by_the_platform,
    cancelled_with_a_refund,
    refund_that_settles_late,
    refund_that_fails_after_it_succeeded,
    refunded_and_disputed_at_stripe,
    warned_of_fraud,
    payment_stopped,
    paid_while_stripe_refuses_to_read_its_session,
    cancelled_while_stripe_refuses_to_read_its_session,
    refund_stopped,
)


def reconciled(stack: RunningStack) -> None:
    """Leave work for the reconciler: an unpaid hold that has ended, an overdue wait, and events that never arrive."""
    before = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    unpaid = stack.reserve()
    unpaid.set_stored("reservations", "created_at", before)
    overdue, declined = reserve_and_press_pay_now(stack), reserve_and_press_pay_now(stack)
    disputed, pending = stack.reserve_paid(), cancel_pending_refund(stack)

    stack.stripe.webhooks.set_mode("drop")
    declined.pay(DECLINED)
    stack.stripe.dashboard_refund(disputed.payment_intent, 100)
    stack.stripe.open_dispute(disputed.payment_intent)
    settle_refund(pending, "succeeded")
    stack.stripe.webhooks.wait_until_idle()
    overdue.set_stored("payments", f"attempts.{overdue.payment['current_attempt']}.deadline", before)
    overdue.make_due()
    found = stack.admin.reconcile()
    assert found.keys() >= {"hold_without_payment", "overdue_wait", "undelivered_event"}
    pending.wait_for_refund_end()
    wait_until(lambda: unpaid.reservation_status == "expired", "the release")


def ledger_mismatch_opened_and_closed(stack: RunningStack) -> None:
    """A capture of another amount than Stripe's charge is found, and found no longer once it is right."""
    booking = stack.reserve_paid()
    day = move_to_yesterday(booking)
    amount = f"captures.{booking.payment_intent}.amount"
    booking.set_stored("payments", amount, 1)
    assert differences_of(stack, day) == ["wrong_amount"]
    assert booking.payment["attention"]
    booking.set_stored("payments", amount, stack.total_amount)
    assert differences_of(stack, day) == []
    assert "attention" not in booking.payment
    with pytest.MonkeyPatch.context() as patch:  # an invocation that is cut short keeps its progress
        patch.setattr(reconcile_ledger, "BUDGET", 0.001)
        assert "unfinished" in reconcile(stack, day)
    assert reconcile(stack)
    for path in ("", f"/{day}", f"/{day}/transactions"):
        assert stack.request("GET", f"payments-ledger{path}", stack.operator).status_code == 200


def play_all(stack: RunningStack) -> None:
    for played in [stack.in_background(partial(scenario, stack)) for scenario in SCENARIOS]:
        played.result()
    ledger_mismatch_opened_and_closed(stack)
    reconciled(stack)
    time.sleep(0.5)  # until the executions that were signalled last have reached their next wait
