"""Ten scenarios, each with its whole record: who did what, and sums that agree with the ledger to the cent."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.harness.booking_driver import DECLINED, REFUND_FAILS_LATER, BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until

type Json = dict[str, Any]
type Scenario = Callable[[RunningStack], BookingDriver]
TOTAL = 45_001


def paid(stack: RunningStack) -> BookingDriver:
    return stack.reserve_paid()


def declined(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve()
    booking.pay_now()
    booking.pay(DECLINED)
    booking.expire_at_stripe()
    booking.wait_in("AwaitRetry")
    return booking


def released(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve()
    booking.pay_now()
    assert booking.cancel().status == 200
    booking.wait_for_end()
    return booking


def cancelled(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid()
    booking.refund(reason="a cold")
    booking.wait_for_refund_end()
    return booking


def refund_failed_and_settled(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.refund()
    booking.wait_for_refund_end()
    refund = str(booking.entry()["stripe_refund_id"])
    stack.stripe.settle_refund(refund, "failed")
    booking.wait_refund_in("AwaitOperator", f"failed-{refund}")
    assert booking.resolve(booking.cancellation_id, "settled_elsewhere", note="by transfer").status == 200
    booking.wait_for_refund_end(f"failed-{refund}")
    return booking


def dispute_won(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid()
    dispute = str(stack.stripe.open_dispute(booking.payment_intent)["id"])
    wait_until(lambda: dispute in booking.payment["disputes"], "the dispute")
    stack.stripe.webhooks.wait_until_idle()  # operators are notified before it goes on
    stack.stripe.close_dispute(dispute, "won")
    wait_until(lambda: "closed_at" in booking.payment["disputes"].get(dispute, {}), "the dispute to close")
    return booking


def inquiry_escalated(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid()
    dispute = str(stack.stripe.open_dispute(booking.payment_intent, status="warning_needs_response")["id"])
    wait_until(lambda: dispute in booking.payment["disputes"], "the inquiry")
    stack.stripe.webhooks.wait_until_idle()  # operators are notified before it goes on
    stack.stripe.escalate_inquiry(dispute)
    wait_until(lambda: "escalated_by" in booking.payment["disputes"].get(dispute, {}), "the escalation")
    return booking


def fraud_warning_refunded(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid()
    stack.stripe.warn_of_fraud(booking.payment_intent)
    wait_until(lambda: "attention_since" in booking.payment, "the matter")
    stack.stripe.webhooks.wait_until_idle()  # operators are notified before it goes on
    assert booking.refund_by_operator(TOTAL).status in {200, 202}
    booking.wait_for_refund_end()
    return booking


def restarted(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve()
    booking.pay_now()
    stack.admin.stop_execution(booking.id)
    booking.wait_in("AwaitPayment", restart=1)
    booking.pay()
    booking.wait_for_end(restart=1)
    return booking


def refunded_in_the_dashboard(stack: RunningStack) -> BookingDriver:
    booking = stack.reserve_paid()
    refund = str(stack.stripe.dashboard_refund(booking.payment_intent, 1_000)["id"])
    wait_until(lambda: refund in booking.payment["refunds"], "the refund")
    return booking


OPERATOR, GUEST, STRIPE, STATE = "operator", "guest", "stripe", "workflow"
CONFIRMED, NOTIFIED = (STATE, "booking_confirmed"), (STRIPE, "operators_notified")
# Each with who did what, in order, and the kinds of matters that are open at its end.
SCENARIOS: Mapping[str, tuple[Scenario, list[tuple[str, str]], list[str]]] = {
    "paid": (paid, [CONFIRMED], []),
    "declined": (declined, [(STATE, "attempt_closed")], []),
    "released": (released, [(GUEST, "cancel_requested"), (STATE, "attempt_closed"), (STATE, "hold_released")], []),
    "cancelled": (cancelled, [CONFIRMED, (STATE, "booking_cancelled"), (STATE, "refund_succeeded")], []),
    "refund failed and settled": (
        refund_failed_and_settled,
        [
            *(CONFIRMED, (STATE, "booking_cancelled"), (STATE, "refund_succeeded"), (STATE, "refund_failed")),
            *((OPERATOR, "refund_answered"), (STATE, "refund_settled_elsewhere")),
        ],
        [],
    ),
    "dispute won": (dispute_won, [CONFIRMED, *[(STRIPE, "dispute_recorded"), NOTIFIED] * 2], []),
    "inquiry escalated": (inquiry_escalated, [CONFIRMED, *[(STRIPE, "dispute_recorded"), NOTIFIED] * 2], ["dispute"]),
    "fraud warning refunded": (
        fraud_warning_refunded,
        [
            *(CONFIRMED, (STRIPE, "fraud_warning_recorded"), NOTIFIED),
            *((STATE, "booking_cancelled"), (STATE, "refund_succeeded")),
        ],
        [],
    ),
    "restarted": (restarted, [CONFIRMED], []),
    "refunded in the dashboard": (refunded_in_the_dashboard, [CONFIRMED, (STRIPE, "dashboard_refund_recorded")], []),
}
RETURNS = {"refund_succeeded", "refund_settled_elsewhere", "dashboard_refund_recorded"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_booking_has_its_whole_record(stack: RunningStack, name: str) -> None:
    play, expected, matters = SCENARIOS[name]
    booking = play(stack)
    stack.stripe.webhooks.wait_until_idle()
    record = booking.call("GET", booking.id, token=stack.operator).body
    # In virtual time a notification is sent at the very moment of its cause.
    audit = sorted(record["audit"], key=lambda entry: (entry["at"], entry["action"] == "operators_notified"))
    assert [(entry["actor"].partition(":")[0], entry["action"]) for entry in audit] == expected
    assert [matter["kind"] for matter in record["attention"]] == matters
    assert "@" not in str(record)
    received = sum(entry["amount"] for entry in audit if entry["action"] == "booking_confirmed")
    assert received == sum(capture["amount"] for capture in record["captures"])
    # A success that was taken back is returned once.
    returned = {entry["subject"]: entry["amount"] for entry in audit if entry["action"] in RETURNS}
    assert sum(returned.values()) == record["refund_amount"]
    kept = sum(capture["refundable"] for capture in record["captures"])
    assert received == kept + record["refund_amount"] + record["refund_pending_amount"]
    for entry in audit:
        assert {"at", "actor", "correlation_id"} <= entry.keys()
    people = {entry["actor"] for entry in audit if entry["actor"].startswith(GUEST)}
    assert people <= {f"guest:{booking.customer_id}"}
