"""State CheckRefund: see what became of a refund that was pending.

Changes: takes the note `check_requested_at` off the ledger's entry.
Safe to run twice: the note is taken off before Stripe is asked, so news that comes in between is noted again.
"""

from typing import Any

from shared.adapters import payment_items, refund_ledger, stripe_api
from shared.contracts.states import CheckRefundInput, RefundOutput
from shared.domain.models import PENDING
from shared.observability import bind, entry_point


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the status at Stripe, or the ledger's once that is final. Raises StripeUnavailable, StoreBusy."""
    request = CheckRefundInput.model_validate(event)
    bind(refund_id=request.refund_id)
    refund_ledger.clear_refund_check(request.payment_id, request.refund_id)
    payment = payment_items.read_payment(request.payment_id)
    if payment is None or request.refund_id not in payment.refunds:
        raise LookupError(f"no entry {request.refund_id} on {request.payment_id}")
    entry = payment.refunds[request.refund_id]
    if entry.status not in PENDING:
        return RefundOutput(
            status=entry.status,
            amount=entry.amount,
            stripe_refund_id=entry.stripe_refund_id,
            failure_reason=entry.failure_reason,
        ).model_dump(exclude_none=True)
    listed = stripe_api.list_refunds(entry.payment_intent, request.refund_id)
    at_stripe = next((refund for refund in listed if refund.id == entry.stripe_refund_id), None)
    if at_stripe is None:
        raise LookupError(f"Stripe does not list {entry.stripe_refund_id} of {request.refund_id}")
    return RefundOutput(
        status=at_stripe.status,
        amount=entry.amount,
        stripe_refund_id=at_stripe.id,
        failure_reason=at_stripe.failure_reason or (at_stripe.status if at_stripe.status == "canceled" else None),
    ).model_dump(exclude_none=True)
