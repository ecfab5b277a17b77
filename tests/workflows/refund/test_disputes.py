"""Disputes: the bank decides about the money, and no refund is made meanwhile."""

from typing import Any, Literal

import pytest

from local.fake_stripe.disputes import Opening
from shared.adapters import step_functions
from tests.harness.booking_driver import BookingDriver
from tests.harness.fault_injection import call_before
from tests.harness.running_stack import RunningStack
from tests.harness.waiting import wait_until


def open_dispute(booking: BookingDriver, *, status: Opening = "needs_response") -> str:
    """The id of a dispute that is recorded, and of which operators are notified."""
    dispute = str(booking.stack.stripe.open_dispute(booking.payment_intent, status=status)["id"])
    wait_until(lambda: dispute in booking.payment["disputes"], "the dispute to be recorded")
    wait_until(lambda: booking.stack.notifications(dispute), "the notification of the dispute")
    return dispute


def close_dispute(booking: BookingDriver, dispute: str, outcome: Literal["won", "lost"]) -> None:
    booking.stack.stripe.close_dispute(dispute, outcome)
    wait_until(lambda: booking.payment["disputes"][dispute].get("closed_at"), "the outcome to be recorded")
    wait_until(lambda: len(booking.stack.notifications(dispute)) > 1, "the notification of the outcome")


@pytest.fixture
def disputed(stack: RunningStack) -> tuple[BookingDriver, str]:
    """A paid booking, and its open dispute."""
    booking = stack.reserve_paid()
    return booking, open_dispute(booking)


@pytest.mark.defect("D-31")
def test_a_dispute_is_recorded_and_operators_are_notified_once(
    stack: RunningStack, disputed: tuple[BookingDriver, str]
) -> None:
    """Stripe sends two events about it at the same time."""
    booking, dispute = disputed
    stack.stripe.webhooks.wait_until_idle()
    recorded = booking.payment["disputes"][dispute]
    assert (recorded["status"], recorded["amount"], recorded["reason"]) == ("needs_response", 45_001, "fraudulent")
    assert len(stack.notifications(dispute)) == 1
    (event,) = booking.published("PaymentDisputed")
    assert (event["dispute_id"], event["status"], event["amount"]) == (dispute, "needs_response", 45_001)
    assert (event["reason"], event["payment_intent"]) == ("fraudulent", booking.payment_intent)


@pytest.mark.defect("P-14")
def test_an_open_dispute_blocks_refunds_until_it_is_won(disputed: tuple[BookingDriver, str]) -> None:
    """It blocks the guest's and the operators'; nothing reaches Stripe, and the stay goes on."""
    booking, dispute = disputed
    assert booking.refund().outcome == (409, "PAYMENT_DISPUTED")
    assert booking.refund_goodwill(1).outcome == (409, "PAYMENT_DISPUTED")
    assert booking.refunds_at_stripe() == []
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert booking.reservation_status == "confirmed"
    close_dispute(booking, dispute, "won")
    assert booking.payment["disputes"][dispute]["status"] == "won"
    assert booking.refund().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)


@pytest.mark.defect("P-14")
def test_a_lost_dispute_goes_on_blocking_refunds(stack: RunningStack, disputed: tuple[BookingDriver, str]) -> None:
    """The bank has already given the guest the money."""
    booking, dispute = disputed
    close_dispute(booking, dispute, "lost")
    assert booking.payment["disputes"][dispute]["status"] == "lost"
    assert booking.refund().outcome == (409, "PAYMENT_DISPUTED")
    assert [sent.split(" is ")[1].split(".")[0] for sent in stack.notifications(dispute)] == ["needs_response", "lost"]


@pytest.mark.defect("R-06")
def test_an_inquiry_leaves_refunds_possible_until_it_becomes_a_dispute(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    inquiry = open_dispute(booking, status="warning_needs_response")
    assert booking.refund_goodwill(1).body["status"] == "succeeded"
    stack.stripe.escalate_inquiry(inquiry)
    wait_until(lambda: len(stack.notifications(inquiry)) > 1, "the notification of the dispute")
    stack.stripe.webhooks.wait_until_idle()
    assert [sent.split(" is ")[1].split(".")[0] for sent in stack.notifications(inquiry)] == [
        "warning_needs_response",
        "needs_response",
    ]
    assert booking.refund().outcome == (409, "PAYMENT_DISPUTED")


@pytest.mark.defect("D-31", "R-02", "R-03")
def test_a_dispute_that_arrives_before_its_payment_leaves_the_booking_unpaid(stack: RunningStack) -> None:
    """As with the card 4000000000000259: Stripe says whose it is, and the workflow finds the money, which is gone."""
    booking = stack.reserve()
    booking.pay_now()
    booking.faults.webhooks = "hold"
    booking.pay()
    pi = booking.session_intent
    dispute = str(stack.stripe.open_dispute(pi)["id"])
    assert stack.resend_event_and_wait("charge.dispute.created", dispute) == 200
    booking.wait_in("AwaitRetry")
    booking.wait_refund_in("AwaitOperator", f"REF-{pi}")
    assert booking.payment["captures"][pi]["role"] == "unapplied"
    assert booking.reservation_status == "pending"
    assert {"PaymentDisputed", "PaymentReturned"} <= set(booking.notified())


@pytest.mark.defect("D-05", "D-31", "R-12")
def test_a_dispute_of_another_systems_charge_is_skipped_at_once(stack: RunningStack) -> None:
    """The account may take payments other than ours."""
    pi = stack.stripe.charge_elsewhere(amount=500)["id"]
    dispute = str(stack.stripe.open_dispute(pi)["id"])
    assert stack.resend_event_and_wait("charge.dispute.created", dispute) == 200
    assert stack.notifications(dispute) == []


@pytest.mark.defect("D-31", "D-38", "D-39")
def test_an_outcome_delivered_first_stands(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    booking.faults.webhooks = "drop"
    dispute = str(stack.stripe.open_dispute(booking.payment_intent)["id"])
    stack.stripe.close_dispute(dispute, "won")
    booking.faults.webhooks = "deliver"
    for event_type in ("charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_withdrawn"):
        assert stack.resend_event_and_wait(event_type, dispute) == 200
    assert booking.payment["disputes"][dispute]["status"] == "won"
    assert booking.refund().body["status"] == "succeeded"


@pytest.mark.defect("P-14")
def test_a_dispute_opened_at_the_last_moment_refuses_the_refund_and_a_later_one_is_possible(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens after the API has checked and before the amount is reserved; the execution's name is used up then."""
    booking = stack.reserve_paid()
    opened: list[str] = []

    def dispute_once(*_: Any) -> None:
        if not opened:
            opened.append(open_dispute(booking))

    call_before(monkeypatch, step_functions, "start_refund", dispute_once)
    assert booking.refund().outcome == (409, "PAYMENT_DISPUTED")
    assert booking.refund_execution().visited == ["AlreadyFailed?", "ReserveRefund", "RefundRefused"]
    assert booking.payment["refunds"] == {}
    assert booking.reservation_status == "confirmed"
    close_dispute(booking, opened[0], "won")
    assert booking.refund().body["status"] == "succeeded"
    assert booking.refund_execution(f"{booking.cancellation_id}-r1").visited[-1] == "RefundCompleted"
