"""Handlers of the events about disputes."""

from datetime import UTC, datetime

from shared.adapters import refund_ledger
from shared.adapters.notifications import notify_operators, publish
from shared.contracts.stripe_objects import StripeDisputeObject, StripeEvent
from shared.domain.errors import StoreBusy
from shared.domain.models import Dispute, Payment, iso
from shared.observability import count
from shared.services.stripe_event_registry import Outcome, handles, read_object

# The bank has decided; a dispute that its network has prevented never opens.
CLOSED = frozenset({"won", "lost", "prevented", "warning_closed"})


@handles(
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
def process_dispute(event: StripeEvent, payment: Payment) -> Outcome:
    """Enter a dispute or its outcome; notify operators when it opens, escalates, is appealed or closes.

    Notify even if this event was entered before: whoever entered it may have stopped before notifying.
    """
    dispute = read_object(StripeDisputeObject, event)
    now = datetime.now(UTC)
    before = payment.disputes.get(dispute.id)
    entry = _merge(before, dispute, event.id, now=now)
    if entry != before and not refund_ledger.record_dispute(payment, dispute.id, entry, now=now):
        raise StoreBusy("another event changed the dispute")
    opens = event.type == "charge.dispute.created" and (entry.closed_at is None or dispute.status == "prevented")
    if opens or event.type == "charge.dispute.closed" or entry.escalated_by == event.id:
        _notify_of_dispute(dispute.id, entry, payment)
    return ("duplicate" if entry == before else "success"), "the dispute is entered"


def _merge(before: Dispute | None, dispute: StripeDisputeObject, event_id: str, *, now: datetime) -> Dispute:
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


def _notify_of_dispute(dispute_id: str, dispute: Dispute, payment: Payment) -> None:
    count("Disputes", status=dispute.status)
    notify_operators(
        "Payment disputed",
        f"PaymentDisputed: dispute {dispute_id} on reservation {payment.reservation_id} is {dispute.status}. "
        f"{_consequence(dispute)}",
    )
    publish(
        "PaymentDisputed",
        {
            "reservation_id": payment.reservation_id,
            "payment_id": payment.payment_id,
            "dispute_id": dispute_id,
            "status": dispute.status,
            "amount": dispute.amount,
        },
    )


def _consequence(dispute: Dispute) -> str:
    if dispute.closed_at is not None:
        return "Refunds are blocked." if dispute.blocks_refunds else "Refunds are possible."
    refunds = "Refunds are blocked while it is open."
    if dispute.inquiry:
        refunds = "It is an inquiry: refunds are still possible."
    deadline = "" if dispute.due_by is None else f" by {iso(dispute.due_by)}"
    return f"{refunds} Answer it in Stripe's dashboard{deadline}."
