"""States RecordRefund, RecordRefundFailure and RecordSettledElsewhere: enter how a refund ended.

Changes: the ledger's entry, and what the ledger adds up to (status and refund amounts of the payment item).
Safe to run twice: an entry that says so already is left as it is; a success that Stripe has taken back becomes
`failed`, and the payment goes back to what is really refunded. A failed entry keeps its amount reserved.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import payment_items, refund_ledger
from shared.adapters.notifications import publish
from shared.contracts.states import RecordRefundInput, RecordRefundOutput
from shared.domain.errors import StoreBusy
from shared.domain.models import Payment, Refund
from shared.observability import bind, count, entry_point

TRIES = 5


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the refund's amount and the payment's status. Raises StoreBusy."""
    request = RecordRefundInput.model_validate(event)
    bind(refund_id=request.refund_id, stripe_refund_id=request.stripe_refund_id)
    for _ in range(TRIES):
        payment = payment_items.read_payment(request.payment_id)
        if payment is None or request.refund_id not in payment.refunds:
            raise LookupError(f"no entry {request.refund_id} on {request.payment_id}")
        entry = payment.refunds[request.refund_id]
        if _says_so(entry, request):
            return _told(payment, entry)
        now = datetime.now(UTC)
        if refund_ledger.update_refund(payment, request.refund_id, _ended(entry, request, now), now=now):
            count("Refunds", outcome=request.outcome)
            if request.outcome == "failed":
                publish(
                    "RefundFailed",
                    {
                        "reservation_id": request.reservation_id,
                        "payment_id": request.payment_id,
                        "refund_id": request.refund_id,
                        "amount": entry.amount,
                    },
                )
    raise StoreBusy("the ledger kept changing")


def _says_so(entry: Refund, request: RecordRefundInput) -> bool:
    # Money that a person has settled by another way stays settled, whatever Stripe says of the old refund later.
    if entry.status == "settled_elsewhere":
        return True
    # Nor does an execution that comes late, with a success that Stripe has taken back since.
    if request.outcome == "succeeded" and entry.status == "failed":
        return True
    # The state machine has no null: an empty id is one that Stripe never gave.
    same = not request.stripe_refund_id or request.stripe_refund_id == entry.stripe_refund_id
    return entry.status == request.outcome and same


def _ended(entry: Refund, request: RecordRefundInput, now: datetime) -> Refund:
    failed = request.outcome == "failed"
    return entry.model_copy(
        update={
            "status": request.outcome,
            "stripe_refund_id": request.stripe_refund_id or entry.stripe_refund_id,
            "settled_at": None if failed else now,
            "failure_reason": (request.failure_reason or "unknown") if failed else None,
            "execution": request.execution,
            "awaiting": None,
            "task_token": None,
            "check_requested_at": None,
        }
    )


def _told(payment: Payment, entry: Refund) -> dict[str, Any]:
    return RecordRefundOutput(amount=entry.amount, payment_status=payment.status, attempt=entry.attempt).model_dump()
