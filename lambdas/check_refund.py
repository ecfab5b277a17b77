"""State CheckRefund: read from Stripe what became of a pending refund.

Changes: removes `check_requested_at` from the ledger's entry.
Safe to run twice: it removes the mark before it asks Stripe, so an event that arrives in between sets it again.
"""

from typing import Any

from shared.adapters import refund_ledger, stripe_api
from shared.contracts.states import CheckRefundInput, RefundOutput
from shared.domain.models import PENDING
from shared.observability import bind, entry_point
from shared.services.refund_entries import entry_output, read_entry


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return Stripe's status of the refund, or the ledger's once it is final. Raises StripeUnavailable, StoreBusy."""
    request = CheckRefundInput.model_validate(event)
    bind(refund_id=request.refund_id)
    return _check(request).model_dump(exclude_none=True)


def _check(request: CheckRefundInput) -> RefundOutput:
    refund_ledger.clear_refund_check(request.payment_id, request.refund_id)
    _, entry = read_entry(request.payment_id, request.refund_id)
    if entry.status not in PENDING:
        return entry_output(entry)
    listed = stripe_api.list_refunds(entry.payment_intent, request.refund_id)
    refund = next((refund for refund in listed if refund.id == entry.stripe_refund_id), None)
    if refund is None:
        raise LookupError(f"Stripe does not list {entry.stripe_refund_id} of {request.refund_id}")
    return RefundOutput(
        status=refund.status,
        amount=entry.amount,
        stripe_refund_id=refund.id,
        failure_reason=refund.failure_reason or (refund.status if refund.status == "canceled" else None),
    )
