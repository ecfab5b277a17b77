"""Refunds that people make in Stripe's dashboard: recorded under their own ids, never by a cumulative amount."""

from typing import Any

import pytest

from tests.harness.booking_driver import BookingDriver
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until


def refund_in_dashboard(booking: BookingDriver, amount: int | None = None) -> str:
    """The id of a refund that was made in the dashboard and recorded by us."""
    refund = str(booking.stack.stripe.dashboard_refund(booking.payment_intent, amount)["id"])
    wait_until(lambda: refund in booking.payment["refunds"], "the refund to be recorded")
    booking.stack.stripe.webhooks.wait_until_idle()
    return refund


@pytest.mark.defect("D-08", "D-31")
def test_a_dashboard_refund_is_in_the_ledger_and_the_status_once(stack: RunningStack) -> None:
    """Stripe sends several events about it, here each of them twice; the stay goes on."""
    booking = stack.reserve_paid()
    booking.faults.webhooks = "duplicate"
    refund = refund_in_dashboard(booking, 10_000)
    assert booking.ledger == ("partially_refunded", 10_000, 0, 35_001)
    entry = booking.entry(refund)
    assert (entry["kind"], entry["amount"], entry["status"]) == ("dashboard", 10_000, "succeeded")
    shown: list[dict[str, Any]] = booking.status()["refunds"]
    assert [(one["refund_id"], one["kind"], one["amount"], one["status"]) for one in shown] == [
        (refund, "dashboard", 10_000, "succeeded")
    ]
    assert (booking.reservation_status, booking.nights_status) == ("confirmed", "booked")


@pytest.mark.defect("D-31")
def test_a_later_cancellation_refunds_what_is_left(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    refund_in_dashboard(booking, 10_000)
    body = booking.refund().body
    assert (body["status"], body["amount"], body["refund_policy"]) == ("succeeded", 35_001, "full_refund")
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert sorted(booking.refunds_at_stripe()) == [("succeeded", 10_000), ("succeeded", 35_001)]


@pytest.mark.defect("P-08")
def test_two_dashboard_refunds_add_up_by_their_own_amounts(stack: RunningStack) -> None:
    """`charge.refunded` carries the cumulative amounts 10 000 and 25 000, which do not add up to 35 000."""
    booking = stack.reserve_paid()
    refund_in_dashboard(booking, 10_000)
    refund_in_dashboard(booking, 15_000)
    assert booking.ledger == ("partially_refunded", 25_000, 0, 20_001)
    assert sorted(entry["amount"] for entry in booking.payment["refunds"].values()) == [10_000, 15_000]


@pytest.mark.defect("D-31", "P-07")
def test_a_dashboard_refund_that_fails_later_is_reversed_and_operators_are_notified(stack: RunningStack) -> None:
    """Its amount can be refunded again."""
    booking = stack.reserve_paid()
    refund = refund_in_dashboard(booking)
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    stack.stripe.settle_refund(refund, "failed")
    stack.stripe.webhooks.wait_until_idle()
    wait_until(lambda: booking.entry(refund)["status"] == "failed", "the failure to be recorded")
    assert booking.ledger == ("completed", 0, 0, 45_001)
    (message,) = wait_until(lambda: stack.notifications(refund), "the notification of operators")
    assert message.startswith("DashboardRefundFailed: ")
    assert f"{refund} has failed" in message
    assert booking.refund_goodwill(45_002).outcome == (400, "REFUND_NOT_ALLOWED")
    assert booking.refund().body["amount"] == 45_001
    assert booking.ledger == ("refunded", 45_001, 0, 0)


@pytest.mark.defect("D-38", "D-39", "P-07")
def test_a_failure_delivered_before_the_success_stands(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    booking.faults.webhooks = "drop"
    refund = str(stack.stripe.dashboard_refund(booking.payment_intent, 10_000)["id"])
    stack.stripe.settle_refund(refund, "failed")
    booking.faults.webhooks = "deliver"
    for event_type in ("refund.failed", "refund.created", "refund.updated"):
        assert stack.resend_event_and_wait(event_type, refund) == 200
    assert booking.entry(refund)["status"] == "failed"
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert len(stack.notifications(refund)) == 1


@pytest.mark.defect("D-13")
def test_a_pending_dashboard_refund_reserves_its_amount_and_is_not_counted_as_refunded(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    stack.stripe.refund_status = "pending"
    refund = refund_in_dashboard(booking, 10_000)
    assert booking.ledger == ("completed", 0, 10_000, 35_001)
    stack.stripe.settle_refund(refund, "succeeded")
    wait_until(lambda: booking.entry(refund)["status"] == "succeeded", "the success to be recorded")
    assert booking.ledger == ("partially_refunded", 10_000, 0, 35_001)


@pytest.mark.defect("D-14")
def test_a_full_dashboard_refund_is_not_a_cancellation(stack: RunningStack) -> None:
    """A person who refunds money has said nothing about the stay."""
    booking = stack.reserve_paid()
    refund_in_dashboard(booking)
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert (booking.reservation_status, booking.nights_status) == ("confirmed", "booked")
    assert booking.refund_goodwill(1).outcome == (400, "REFUND_NOT_ALLOWED")
