"""Refunds that Stripe settles later: events about them may come at any moment, in any order, more than once."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from local.fake_stripe.webhook_delivery import Mode
from shared.adapters import refund_ledger, step_functions, stripe_api
from shared.domain.stripe_values import StripeRefund
from tests.harness.booking_driver import REFUND_PENDING, BookingDriver
from tests.harness.fault_injection import call_after, call_before
from tests.harness.running_stack import Answer, RunningStack

# The states of a refund that is settled before its wait begins.
NEVER_WAITED = [
    "AlreadyFailed?",
    "ReserveRefund",
    "CreateRefund",
    "RefundStatus?",
    "AwaitRefundSettlement",
    "CheckRefund",
    "RefundStatus?",
    "RecordRefund",
    "AnnounceRefund",
    "RefundCompleted",
]


def start_refund(booking: BookingDriver) -> tuple[Future[Answer], str]:
    """The answer that the guest waits for, and Stripe's id of the refund that is pending."""
    answer = booking.stack.in_background(booking.refund)
    booking.wait_refund_in("AwaitRefundSettlement")
    return answer, booking.entry()["stripe_refund_id"]


@pytest.mark.defect("D-13")
def test_a_pending_refund_succeeds_when_stripe_says_so(stack: RunningStack) -> None:
    """And not before."""
    booking = stack.reserve_paid(card=REFUND_PENDING)
    answer, refund = start_refund(booking)
    assert booking.ledger == ("completed", 0, 45_001, 0)
    stack.stripe.settle_refund(refund, "succeeded")
    assert answer.result().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert booking.wait_for_refund_end().visited[-5:] == NEVER_WAITED[-5:]


@pytest.mark.defect("D-13", "P-07")
def test_a_pending_refund_that_fails_waits_for_an_operator(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_PENDING)
    answer, refund = start_refund(booking)
    stack.stripe.settle_refund(refund, "failed")
    booking.wait_refund_in("AwaitOperator")
    assert answer.result().body["status"] == "failed"
    assert booking.ledger == ("completed", 0, 0, 0)
    assert booking.entry()["failure_reason"] == "expired_or_canceled_card"


def test_a_refund_that_requires_action_is_pending_too(stack: RunningStack) -> None:
    stack.stripe.refund_status = "requires_action"
    booking = stack.reserve_paid()
    answer, refund = start_refund(booking)
    assert booking.entry()["status"] == "requires_action"
    assert booking.ledger == ("completed", 0, 45_001, 0)
    stack.stripe.settle_refund(refund, "canceled")
    booking.wait_refund_in("AwaitOperator")
    assert answer.result().body["status"] == "failed"
    assert booking.entry()["failure_reason"] == "canceled"


@pytest.mark.defect("P-07")
@pytest.mark.parametrize("mode", ["duplicate", "reverse"])
def test_events_that_arrive_twice_or_newest_first_change_nothing(stack: RunningStack, mode: Mode) -> None:
    """An older `pending` does not undo the success."""
    booking = stack.reserve_paid(card=REFUND_PENDING)
    answer, refund = start_refund(booking)
    booking.faults.webhooks = mode
    stack.stripe.settle_refund(refund, "succeeded")
    assert answer.result().body["status"] == "succeeded"
    stack.resend_event("refund.created", refund)
    stack.stripe.webhooks.wait_until_idle()
    booking.wait_for_refund_end()
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert list(booking.payment["refunds"]) == [booking.cancellation_id]
    assert len(booking.published("RefundCompleted")) == 1


@pytest.mark.defect("P-12", "D-31")
def test_an_event_before_the_token_is_stored_ends_the_wait_before_it_begins(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own refund, reported before we have stored its id, is not taken for a dashboard refund."""
    booking = stack.reserve_paid(card=REFUND_PENDING)

    def settle(refund: StripeRefund) -> None:
        stack.stripe.settle_refund(refund.id, "succeeded")
        stack.stripe.webhooks.wait_until_idle()

    call_after(monkeypatch, stripe_api, "create_refund", settle)
    assert booking.refund().body["status"] == "succeeded"
    assert booking.wait_for_refund_end().visited == NEVER_WAITED
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert list(booking.payment["refunds"]) == [booking.cancellation_id]


@pytest.mark.defect("P-12")
def test_an_event_while_the_token_is_stored_ends_the_wait(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook is about to request a check when the wait begins, so it must find the token."""
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.faults.webhooks = "hold"
    has_read = threading.Event()

    def wait_for_token(*_: Any, **__: Any) -> None:
        has_read.set()
        booking.wait_refund_in("AwaitRefundSettlement")

    def settle(refund: StripeRefund) -> None:
        stack.stripe.settle_refund(refund.id, "succeeded")
        stack.resend_event("refund.updated", refund.id)
        assert has_read.wait(10)

    call_before(monkeypatch, refund_ledger, "request_refund_check", wait_for_token)
    call_after(monkeypatch, stripe_api, "create_refund", settle)
    answer = stack.in_background(booking.refund)
    assert booking.wait_for_refund_end().visited == NEVER_WAITED
    assert answer.result().body["status"] == "succeeded"


@pytest.mark.defect("P-07")
def test_a_failure_that_arrives_while_the_success_is_recorded_is_not_lost(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = stack.reserve_paid()
    refunds: list[str] = []

    def fail(refund: StripeRefund) -> None:
        refunds.append(refund.id)
        stack.stripe.settle_refund(refund.id, "failed")
        stack.stripe.webhooks.wait_until_idle()

    call_after(monkeypatch, stripe_api, "create_refund", fail)
    booking.refund()
    (refund,) = refunds
    booking.wait_refund_in("AwaitOperator", f"failed-{refund}")
    assert booking.entry()["status"] == "failed"
    assert booking.ledger == ("completed", 0, 0, 0)


@pytest.mark.defect("D-32")
def test_a_refund_without_any_event_is_found_by_asking_stripe(stack: RunningStack) -> None:
    """A refresh asks Stripe as the end of the daily wait does; no event is needed."""
    booking = stack.reserve_paid(card=REFUND_PENDING)
    stack.stripe.webhooks.wait_until_idle()
    booking.faults.webhooks = "drop"
    answer, refund = start_refund(booking)
    stack.stripe.settle_refund(refund, "succeeded")
    assert step_functions.signal(booking.entry()["task_token"], "refresh")
    assert answer.result().body["status"] == "succeeded"
    assert booking.ledger == ("refunded", 45_001, 0, 0)
