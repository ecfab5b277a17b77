"""Entering a dispute on the payment item, whether it comes from an event or from Stripe's list."""

from datetime import datetime

from shared.adapters import payment_items, refund_ledger
from shared.contracts.stripe_objects import StripeDisputeObject
from shared.domain.errors import StoreBusy
from shared.domain.models import Dispute, Payment

# The bank has decided; a dispute that its network has prevented never opens.
CLOSED = frozenset({"won", "lost", "prevented", "warning_closed"})


def enter_dispute(payment: Payment, dispute: StripeDisputeObject, *, event_id: str | None, now: datetime) -> Dispute:
    """Enter a dispute or its outcome; return the entry. Raises StoreBusy."""
    entry = _enter(payment, dispute, event_id, now=now)
    if entry is None:
        # Stripe sends two events about a new dispute at the same time.
        entry = _enter(payment_items.read_payment(payment.payment_id) or payment, dispute, event_id, now=now)
    if entry is None:
        raise StoreBusy("other events changed the dispute")
    return entry


def _enter(payment: Payment, dispute: StripeDisputeObject, event_id: str | None, *, now: datetime) -> Dispute | None:
    """The entry; None if it changed since the payment was read."""
    before = payment.disputes.get(dispute.id)
    entry = _merge(before, dispute, event_id, now=now)
    entered = entry == before or refund_ledger.record_dispute(payment, dispute.id, entry, now=now)
    return entry if entered else None


def _merge(before: Dispute | None, dispute: StripeDisputeObject, event_id: str | None, *, now: datetime) -> Dispute:
    """The entry after this news. A dispute never becomes an inquiry again, and only an appeal opens a closed one."""
    after = Dispute(
        status=dispute.status,
        payment_intent=dispute.payment_intent,
        amount=dispute.amount,
        reason=dispute.reason,
        opened_at=now if before is None else before.opened_at,
        closed_at=now if dispute.status in CLOSED else None,
        due_by=dispute.due_by or (None if before is None else before.due_by),
    )
    if before is None:
        return after
    appealed = before.status == "lost" and (after.status == "won" or after.status.startswith("appeal_"))
    if (before.closed_at is not None and not appealed) or (after.inquiry and not before.inquiry):
        return before
    escalates = appealed or (before.inquiry and not after.inquiry)
    return after.model_copy(update={"escalated_by": event_id if escalates else before.escalated_by})
