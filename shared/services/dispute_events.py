"""Handlers of the events about disputes."""

from datetime import UTC, datetime

from shared.adapters import refund_ledger
from shared.adapters.notifications import notify_operators, publish
from shared.contracts.stripe_objects import StripeDisputeObject, StripeEvent
from shared.domain.errors import StoreBusy
from shared.domain.models import Dispute, Payment, iso
from shared.observability import count
from shared.services.stripe_event_registry import Outcome, handles, read_object


@handles(
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
def process_dispute(event: StripeEvent, payment: Payment) -> Outcome:
    """Enter a dispute or its outcome; notify the operators when it opens, when an inquiry becomes one, when it closes.

    Notify even if this event was entered before: whoever entered it may have stopped before notifying.
    """
    dispute = read_object(StripeDisputeObject, event)
    now = datetime.now(UTC)
    before = payment.disputes.get(dispute.id)
    closes = event.type == "charge.dispute.closed"
    entry = _merge(before, dispute, event.id, closed_at=now if closes else None, now=now)
    if entry != before and not refund_ledger.record_dispute(payment, dispute.id, entry, now=now):
        raise StoreBusy("another event changed the dispute")
    opens = event.type == "charge.dispute.created" and entry.closed_at is None
    if closes or opens or entry.escalated_by == event.id:
        _notify_of_dispute(dispute.id, entry, payment)
    return ("duplicate" if entry == before else "success"), "the dispute is entered"


def _merge(
    before: Dispute | None, dispute: StripeDisputeObject, event_id: str, *, closed_at: datetime | None, now: datetime
) -> Dispute:
    """The entry after this news. A closed dispute stays closed, and a dispute never becomes an inquiry again."""
    after = Dispute(
        status=dispute.status,
        payment_intent=dispute.payment_intent,
        amount=dispute.amount,
        reason=dispute.reason,
        opened_at=now if before is None else before.opened_at,
        closed_at=closed_at,
        due_by=dispute.due_by or (None if before is None else before.due_by),
    )
    if before is None:
        return after
    if before.closed_at is not None or (after.inquiry and not before.inquiry):
        return before
    escalates = before.inquiry and not after.inquiry
    return after.model_copy(update={"escalated_by": event_id if escalates else before.escalated_by})


def _notify_of_dispute(dispute_id: str, dispute: Dispute, payment: Payment) -> None:
    count("Disputes", status=dispute.status)
    refunds = "Refunds are blocked while it is open."
    if dispute.inquiry:
        refunds = "It is an inquiry: refunds are still possible."
    deadline = "" if dispute.due_by is None else f" by {iso(dispute.due_by)}"
    notify_operators(
        "Payment disputed",
        f"PaymentDisputed: dispute {dispute_id} on reservation {payment.reservation_id} is {dispute.status}. "
        f"{refunds} Answer it in Stripe's dashboard{deadline}.",
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
