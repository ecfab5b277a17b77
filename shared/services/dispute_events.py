"""Handlers of the events about disputes."""

from datetime import UTC, datetime

from shared.adapters.notifications import publish
from shared.contracts.booking_events import PaymentDisputed
from shared.contracts.stripe_objects import StripeDisputeObject, StripeEvent
from shared.domain.models import Dispute, Payment, iso, optional_iso
from shared.observability import count
from shared.services.dispute_entries import enter_dispute
from shared.services.money_events import request_capture
from shared.services.ownership import Owner
from shared.services.reconciliation import notify
from shared.services.stripe_event_registry import Outcome, handles, read_object


@handles(
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
def process_dispute(event: StripeEvent, owner: Owner) -> Outcome:
    """Enter a dispute or its outcome; notify operators when it opens, escalates, is appealed or closes.

    Notify even if this event was entered before: whoever entered it may have stopped before notifying.
    """
    dispute, payment = read_object(StripeDisputeObject, event), owner.payment
    before = payment.disputes.get(dispute.id)
    entry = enter_dispute(payment, dispute, event_id=event.id, now=datetime.now(UTC))
    opens = event.type == "charge.dispute.created" and (entry.closed_at is None or dispute.status == "prevented")
    if opens or event.type == "charge.dispute.closed" or entry.escalated_by == event.id:
        _notify_of_dispute(dispute.id, entry, payment)
    if dispute.payment_intent not in payment.captures:
        request_capture(owner, dispute.payment_intent)
    return ("duplicate" if entry == before else "success"), "the dispute is entered"


def _notify_of_dispute(dispute_id: str, dispute: Dispute, payment: Payment) -> None:
    count("Disputes", status=dispute.status)
    notify("PaymentDisputed", payment, f"dispute {dispute_id} is {dispute.status}. {_consequence(dispute)}")
    publish(
        PaymentDisputed.about(
            payment,
            f"{dispute_id}-{dispute.status}",
            dispute.closed_at or dispute.opened_at,
            payment_intent=dispute.payment_intent,
            dispute_id=dispute_id,
            status=dispute.status,
            amount=dispute.amount,
            reason=dispute.reason,
            due_by=optional_iso(dispute.due_by),
        )
    )


def _consequence(dispute: Dispute) -> str:
    if dispute.closed_at is not None:
        return "Refunds are blocked" if dispute.blocks_refunds else "Refunds are possible"
    refunds = "Refunds are blocked while it is open."
    if dispute.inquiry:
        refunds = "It is an inquiry: refunds are still possible."
    deadline = "" if dispute.due_by is None else f" by {iso(dispute.due_by)}"
    return f"{refunds} Answer it in Stripe's dashboard{deadline}"
