"""Handlers of the events about money: sessions that complete or end, payments that succeed or are declined."""

import time
from datetime import UTC, datetime

from shared.adapters import payment_items, step_functions
from shared.contracts.states import RefundExecutionInput
from shared.contracts.stripe_objects import StripeDecline, StripeDeclinedObject, StripeEvent
from shared.domain.errors import NotWaiting
from shared.domain.ids import unapplied_refund_id
from shared.domain.models import Matter, Payment
from shared.observability import count
from shared.services.ownership import Owner
from shared.services.reconciliation import notify_once
from shared.services.stripe_event_registry import Outcome, handles, read_object
from shared.services.unapplied_refunds import start_unapplied_refund

# How long an event waits for a workflow that is between two states, in seconds.
PATIENCE, PAUSE = 3.0, 0.2

MONEY = ("checkout.session.completed", "checkout.session.async_payment_succeeded", "payment_intent.succeeded")


@handles(*MONEY)
def process_money(event: StripeEvent, owner: Owner) -> Outcome:
    """Make the workflow ask Stripe about this money, or refund it if the workflow has ended."""
    payment, key, pi = owner.payment, owner.attempt or "", event.payment_intent
    paid = _paid(event)
    until = time.monotonic() + PATIENCE
    while True:
        attempt = payment.attempts.get(key)
        if attempt is not None and attempt.status == "closed" and pi not in payment.captures:
            # Have the workflow ask Stripe about this session as well.
            payment_items.mark_unresolved(payment.payment_id, key)
        if pi is not None and pi in payment.captures and not _notification_missing(payment, pi):
            return "duplicate", "the capture is recorded"
        if payment.status != "pending":
            return _refund_late_payment(payment, pi) if pi is not None and paid else ("skipped", "no money has come")
        if payment.task_token and step_functions.signal(payment.task_token, "refresh"):
            return "success", "the workflow was signalled"
        if time.monotonic() > until:
            payment_items.mark_due(payment, now=datetime.now(UTC))
            raise NotWaiting(payment.status)
        time.sleep(PAUSE)
        payment = payment_items.read_payment(payment.payment_id) or payment


@handles("checkout.session.expired", "checkout.session.async_payment_failed")
def process_end(_: StripeEvent, owner: Owner) -> Outcome:
    """Signal the workflow about a session that ended without money, unless that is known."""
    payment, attempt = owner.payment, owner.payment.attempts.get(owner.attempt or "")
    if payment.status != "pending" or attempt is None or attempt.status in {"closed", "paid"}:
        return "skipped", "known"
    if payment.task_token and step_functions.signal(payment.task_token, "refresh"):
        return "success", "the workflow was signalled"
    return "skipped", "the workflow is already at work"


@handles("payment_intent.payment_failed")
def process_decline(event: StripeEvent, owner: Owner) -> Outcome:
    """Record a declined charge; the session stays open and the guest may try again."""
    intent = read_object(StripeDeclinedObject, event)
    error = intent.last_payment_error or StripeDecline()
    code = error.decline_code or error.code or "declined"
    message = error.message or "The card was declined."
    payment_items.record_decline(
        owner.payment.payment_id, owner.attempt or "", intent.latest_charge or intent.id, code, message
    )
    count("Declines")
    return "success", "the decline is recorded"


def report_unmatched(event: StripeEvent, owner: Owner) -> Outcome:
    """Leave money alone that carries our metadata and belongs to no session of ours; notify the operators once."""
    if event.type in MONEY and _paid(event):
        pi = event.payment_intent
        what = f"{pi or event.object.get('id')} carries its metadata, but belongs to no Checkout Session of it; "
        matter = Matter(kind="unmatched_charge", subject=pi, since=datetime.now(UTC), amount=_amount(event))
        notify_once(f"unmatched {pi}", "UnmatchedCharge", owner.payment, what + "nothing was done", matter)
    return "skipped", "it belongs to no session of ours"


def request_capture(owner: Owner, pi: str) -> None:
    """Make the workflow record money whose event has not come, or refund it if the workflow has ended."""
    payment, key = owner.payment, owner.attempt or ""
    attempt = payment.attempts.get(key)
    if attempt is not None and attempt.status == "closed":
        payment_items.mark_unresolved(payment.payment_id, key)
    if payment.status != "pending":
        _refund_late_payment(payment, pi)
    elif not (payment.task_token and step_functions.signal(payment.task_token, "refresh")):
        payment_items.mark_due(payment, now=datetime.now(UTC))


def _amount(event: StripeEvent) -> int | None:
    """How much was paid, in cents, as the PaymentIntent or the session says it."""
    amount = event.object.get("amount_received", event.object.get("amount_total"))
    return amount if isinstance(amount, int) else None


def _paid(event: StripeEvent) -> bool:
    return event.type != "checkout.session.completed" or event.object.get("payment_status") == "paid"


def _refund_late_payment(payment: Payment, pi: str) -> Outcome:
    """Refund money for a booking that has ended or is already paid, and notify the operators.

    The notification is recorded, so that a repeated event catches up on it after the refund has started.
    """
    count("LatePayments")
    refund_id = unapplied_refund_id(pi)

    what = f"it was paid although it is {payment.status}; the execution {refund_id} refunds the money in full"
    refund = RefundExecutionInput.unapplied(payment, pi, refund_id, requested_by="webhook")
    start_unapplied_refund(refund, lambda: notify_once(f"late {refund_id}", "LatePayment", payment, what))
    return "success", "the money is refunded"


def _notification_missing(payment: Payment, pi: str) -> bool:
    """Whether the webhook has started this money's refund, but operators have not been notified."""
    refund_id = unapplied_refund_id(pi)
    entry = payment.refunds.get(refund_id)
    return entry is not None and entry.requested_by == "webhook" and f"late {refund_id}" not in (payment.notified or ())
