"""Refunds that were made in Stripe's dashboard or with another tool: entered in the ledger under their own ids."""

from datetime import UTC, datetime

from shared.adapters import payment_items, refund_ledger, step_functions
from shared.domain.errors import NotWaiting, StoreBusy
from shared.domain.ledger import enter_dashboard_refund, refund_moves_on
from shared.domain.models import SETTLED, Matter, Payment, Refund
from shared.domain.stripe_values import StripeRefund
from shared.observability import count
from shared.services.reconciliation import notify_once
from shared.services.stripe_event_registry import Outcome

TRIES = 5


def record_dashboard_refund(payment: Payment, refund: StripeRefund) -> Outcome:
    """Enter the refund or its new status.

    Raises NotWaiting while a refund of ours holds its amount that must fail at Stripe, and StoreBusy.
    """
    for _ in range(TRIES):
        before = payment.refunds.get(refund.id)
        if before is not None and not refund_moves_on(before.status, refund.status):
            end_waits_of_settled(payment, refund.payment_intent)
            return "duplicate", "the refund is entered"
        now = datetime.now(UTC)
        entry = Refund(
            kind="dashboard",
            payment_intent=refund.payment_intent,
            amount=refund.amount,
            status=refund.status,
            stripe_refund_id=refund.id,
            requested_by="dashboard",
            created_at=now if before is None else before.created_at,
            settled_at=now if refund.status == "succeeded" else None,
            failure_reason=refund.failure_reason,
        )
        entered = enter_dashboard_refund(payment, refund.id, entry, now)
        if entered is None:
            raise NotWaiting("a refund of ours has reserved the amount and has not failed yet")
        refundable, changed = entered
        ours = sorted(changed.keys() - {refund.id})
        for refund_id in ours:
            if payment.refunds[refund_id].status == "settled_elsewhere":
                # Before the refund is entered: an event that is delivered again would find nothing left to release.
                notify_settled_twice(payment, refund, refund_id)
        if refund_ledger.record_dashboard_refund(payment, refund.id, refundable, changed, now=now):
            count("Refunds", outcome=f"dashboard_{refund.status}")
            if ours:
                # A wait may have begun after the entries were read, but not since they were settled.
                after = payment_items.read_payment(payment.payment_id) or payment
                end_waits_of_settled(after, refund.payment_intent)
            return "success", "the refund is entered"
        payment = payment_items.read_payment(payment.payment_id) or payment
    raise StoreBusy("the ledger kept changing")


def end_waits_of_settled(payment: Payment, payment_intent: str) -> None:
    """Resume each state that waits for an operator about a refund of this PaymentIntent which is settled by now.

    An event that is delivered again has to do this too: whoever settled the refund may have stopped before.
    """
    for entry in payment.refunds.values():
        settled = entry.payment_intent == payment_intent and entry.status in SETTLED
        if settled and entry.awaiting == "operator" and entry.task_token:
            step_functions.signal(entry.task_token, "retry")  # it finds the refund settled, and ends


def notify_settled_twice(payment: Payment, refund: StripeRefund, refund_id: str) -> None:
    what = f"{refund.id} of {refund.amount} cents lives at Stripe, but {refund_id} was settled without it"
    matter = Matter(kind="refund_settled_twice", subject=refund.id, since=datetime.now(UTC), amount=refund.amount)
    notify_once(f"settled_twice {refund.id}", "RefundSettledTwice", payment, what, matter)
