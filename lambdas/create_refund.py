"""State CreateRefund: refund the reserved amount at Stripe.

Changes: a refund at Stripe; its id and status on the ledger's entry.
Safe to run twice: it first lists the PaymentIntent's refunds and continues with one that is ours
(`metadata.refund_id`) and has not failed. It creates another, under the next idempotency key, only after as many
confirmed failures as `attempt` allows.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import refund_ledger, stripe_api
from shared.contracts.states import CreateRefundInput, RefundOutput
from shared.domain.errors import StoreBusy, StripeRefused
from shared.domain.models import FAILED, SETTLED, Payment, Refund
from shared.domain.stripe_values import StripeRefund
from shared.observability import bind, entry_point
from shared.services.refund_entries import read_entry


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the refund's status; `failed` when Stripe refuses it. Raises StripeUnavailable, StoreBusy."""
    request = CreateRefundInput.model_validate(event)
    payment, entry = read_entry(request.payment_id, request.refund_id)
    bind(refund_id=request.refund_id, stripe_payment_intent_id=entry.payment_intent)
    return _refund(request, payment, entry).model_dump(exclude_none=True)


def _refund(request: CreateRefundInput, payment: Payment, entry: Refund) -> RefundOutput:
    if entry.status in SETTLED:
        return RefundOutput(status=entry.status, amount=entry.amount, stripe_refund_id=entry.stripe_refund_id)
    listed = stripe_api.list_refunds(entry.payment_intent, request.refund_id)
    refund = _not_failed(listed)
    if refund is None and len(listed) >= request.attempt:
        return _failed(entry, listed[0])
    try:
        refund = refund or _create(request, entry)
    except StripeRefused as refusal:
        # The charge may already be refunded, by us: Stripe's own list decides.
        refund = _not_failed(stripe_api.list_refunds(entry.payment_intent, request.refund_id))
        if refund is None:
            return RefundOutput(status="failed", amount=entry.amount, failure_reason=refusal.code or "refused")
    bind(stripe_refund_id=refund.id)
    if refund.status in FAILED:
        return _failed(entry, refund)
    _record(request, payment, entry, refund)
    return RefundOutput(status=refund.status, amount=entry.amount, stripe_refund_id=refund.id)


def _not_failed(refunds: list[StripeRefund]) -> StripeRefund | None:
    return next((refund for refund in refunds if refund.status not in FAILED), None)


def _failed(entry: Refund, refund: StripeRefund) -> RefundOutput:
    reason = refund.failure_reason or refund.status
    return RefundOutput(status="failed", amount=entry.amount, stripe_refund_id=refund.id, failure_reason=reason)


def _create(request: CreateRefundInput, entry: Refund) -> StripeRefund:
    return stripe_api.create_refund(
        pi=entry.payment_intent,
        amount=entry.amount,
        metadata=request.model_dump(include={"refund_id", "payment_id", "reservation_id"}),
        idempotency_key=f"{request.refund_id}:{request.attempt}",
    )


def _record(request: CreateRefundInput, payment: Payment, entry: Refund, refund: StripeRefund) -> None:
    """Record the refund as under way. RecordRefund records a success, together with the ledger's totals."""
    sent = entry.model_copy(
        update={
            "stripe_refund_id": refund.id,
            "attempt": max(entry.attempt, request.attempt),
            "status": "requires_action" if refund.status == "requires_action" else "pending",
            "failure_reason": None,
            "execution": request.execution,
        }
    )
    if sent != entry and not refund_ledger.update_refund(payment, request.refund_id, sent, now=datetime.now(UTC)):
        raise StoreBusy("the ledger was changed in between")
