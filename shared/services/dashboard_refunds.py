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
            for refund_id, ours in payment.refunds.items():
                if ours.payment_intent == refund.payment_intent:
                    end_wait_of_settled(payment, refund_id)
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
        if refund_ledger.record_dashboard_refund(payment, refund.id, refundable, changed, now=now):
            count("Refunds", outcome=f"dashboard_{refund.status}")
            for refund_id in sorted(changed.keys() - {refund.id}):
                _replaced(payment, refund, refund_id, changed[refund_id])
            return "success", "the refund is entered"
        payment = payment_items.read_payment(payment.payment_id) or payment
    raise StoreBusy("the ledger kept changing")


def _replaced(payment: Payment, refund: StripeRefund, refund_id: str, entry: Refund) -> None:
    """End the workflow of a failed refund that the dashboard's has replaced; notify if the money was returned twice."""
    if payment.refunds[refund_id].status == "settled_elsewhere":
        notify_settled_twice(payment, refund, refund_id)
    elif entry.status == "settled_elsewhere":
        end_wait_for_operator(payment.payment_id, refund_id)


def end_wait_for_operator(payment_id: str, refund_id: str) -> None:
    """Resume the state that waits for an operator about a refund that has just been settled.

    The wait may have begun after the caller had read the entry, but not since it was settled.
    """
    payment = payment_items.read_payment(payment_id)
    if payment is not None:
        end_wait_of_settled(payment, refund_id)


def end_wait_of_settled(payment: Payment, refund_id: str) -> None:
    """Resume the state that waits for an operator about a settled refund, if one still does.

    An event that is delivered again has to do this too: whoever settled the refund may have stopped before.
    """
    entry = payment.refunds.get(refund_id)
    if entry is not None and entry.status in SETTLED and entry.awaiting == "operator" and entry.task_token:
        step_functions.signal(entry.task_token, "retry")  # it finds the refund settled, and ends


def notify_settled_twice(payment: Payment, refund: StripeRefund, refund_id: str) -> None:
    what = f"{refund.id} of {refund.amount} cents lives at Stripe, but an operator settled {refund_id} elsewhere"
    matter = Matter(kind="refund_settled_twice", subject=refund.id, since=datetime.now(UTC), amount=refund.amount)
    notify_once(f"settled_twice {refund.id}", "RefundSettledTwice", payment, what, matter)
