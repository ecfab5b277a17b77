"""Handlers of the events about disputes."""

from datetime import UTC, datetime

from shared.adapters import refund_ledger
from shared.adapters.notifications import notify_operators, publish
from shared.contracts.stripe_objects import StripeDisputeObject, StripeEvent
from shared.domain.errors import StoreBusy
from shared.domain.models import Dispute, Payment
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
    """Enter a dispute or its outcome; notify the operators when it opens and when it closes.

    Notify even if the dispute was entered before: whoever entered it may have stopped before notifying.
    """
    dispute = read_object(StripeDisputeObject, event)
    now = datetime.now(UTC)
    before = payment.disputes.get(dispute.id)
    closes = event.type == "charge.dispute.closed"
    closed_before = before is not None and before.closed_at is not None
    known = before is not None and (closed_before or (before.status == dispute.status and not closes))
    if not known:
        entry = Dispute(
            status=dispute.status,
            payment_intent=dispute.payment_intent,
            amount=dispute.amount,
            reason=dispute.reason,
            opened_at=now if before is None else before.opened_at,
            closed_at=now if closes else None,
        )
        if not refund_ledger.record_dispute(payment, dispute.id, entry, now=now):
            raise StoreBusy("another event changed the dispute")
    if closes or (event.type == "charge.dispute.created" and not closed_before):
        _notify_of_dispute(dispute, payment)
    return ("duplicate" if known else "success"), "the dispute is entered"


def _notify_of_dispute(dispute: StripeDisputeObject, payment: Payment) -> None:
    count("Disputes", status=dispute.status)
    notify_operators(
        "Payment disputed",
        f"PaymentDisputed: dispute {dispute.id} on reservation {payment.reservation_id} is {dispute.status}. "
        "Refunds are blocked while it is open. Answer it in Stripe's dashboard.",
    )
    publish(
        "PaymentDisputed",
        {
            "reservation_id": payment.reservation_id,
            "payment_id": payment.payment_id,
            "dispute_id": dispute.id,
            "status": dispute.status,
            "amount": dispute.amount,
        },
    )
