"""State CreateRefund: have Stripe give the reserved amount back.

Changes: a refund at Stripe; its id and status on the ledger's entry.
Safe to run twice: it first lists the PaymentIntent's refunds and believes one that is ours (`metadata.refund_id`) and
lives. Only after as many confirmed failures as were allowed (`attempt`) is there another, under the next key.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import payment_items, refund_ledger, stripe_api
from shared.contracts.states import CreateRefundInput, RefundOutput
from shared.domain.errors import StoreBusy, StripeRefused
from shared.domain.models import SETTLED, Payment, Refund, RefundStatus, StripeRefund
from shared.observability import bind, entry_point

DEAD = frozenset({"failed", "canceled"})


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the refund's status; a refusal is `failed`. Raises StripeUnavailable, StoreBusy."""
    request = CreateRefundInput.model_validate(event)
    payment, entry = _entry(request)
    bind(refund_id=request.refund_id, stripe_payment_intent_id=entry.payment_intent)
    if entry.status in SETTLED:
        return _told(entry, entry.status, entry.stripe_refund_id, None)
    listed = stripe_api.list_refunds(entry.payment_intent, request.refund_id)
    living = _living(listed)
    if living is None:
        dead = len(listed)
        if dead >= request.attempt:
            return _told(entry, "failed", listed[0].id, listed[0].failure_reason or listed[0].status)
        try:
            living = stripe_api.create_refund(
                pi=entry.payment_intent,
                amount=entry.amount,
                metadata={
                    "refund_id": request.refund_id,
                    "payment_id": request.payment_id,
                    "reservation_id": request.reservation_id,
                },
                idempotency_key=f"{request.refund_id}:{request.attempt}",
            )
        except StripeRefused as refusal:
            # The charge may be refunded already, by us: what Stripe has on record is what counts.
            living = _living(stripe_api.list_refunds(entry.payment_intent, request.refund_id))
            if living is None:
                return _told(entry, "failed", None, refusal.code or "refused")
    bind(stripe_refund_id=living.id)
    if living.status in DEAD:
        return _told(entry, "failed", living.id, living.failure_reason or living.status)
    # A success is entered by RecordRefund, with what the ledger adds up to then.
    status = "requires_action" if living.status == "requires_action" else "pending"
    sent = entry.model_copy(
        update={
            "stripe_refund_id": living.id,
            "attempt": max(entry.attempt, request.attempt),
            "status": status,
            "failure_reason": None,
            "execution": request.execution,
        }
    )
    if sent != entry and not refund_ledger.update_refund(payment, request.refund_id, sent, now=datetime.now(UTC)):
        raise StoreBusy("the ledger changed meanwhile")
    return _told(entry, living.status, living.id, None)


def _entry(request: CreateRefundInput) -> tuple[Payment, Refund]:
    payment = payment_items.read_payment(request.payment_id)
    if payment is None or request.refund_id not in payment.refunds:
        raise LookupError(f"no entry {request.refund_id} on {request.payment_id}")
    return payment, payment.refunds[request.refund_id]


def _living(refunds: list[StripeRefund]) -> StripeRefund | None:
    return next((refund for refund in refunds if refund.status not in DEAD), None)


def _told(entry: Refund, status: RefundStatus, stripe_refund_id: str | None, reason: str | None) -> dict[str, Any]:
    return RefundOutput(
        status=status, amount=entry.amount, stripe_refund_id=stripe_refund_id, failure_reason=reason
    ).model_dump(exclude_none=True)
