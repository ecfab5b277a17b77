"""States RecordRefund, RecordRefundFailure and RecordSettledElsewhere: record how a refund ended.

Changes: the ledger's entry, and the totals that follow from it (status and refund amounts of the payment item). A
failed entry keeps its amount reserved.
Safe to run twice: an entry that is recorded already stays as it is. When Stripe has taken a success back, the entry
becomes `failed` and the totals follow.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import refund_ledger
from shared.adapters.notifications import publish
from shared.contracts.booking_events import RefundCompleted, RefundFailed
from shared.contracts.states import RecordRefundInput, RecordRefundOutput
from shared.domain.errors import StoreBusy
from shared.domain.models import SETTLED, Payment, Refund
from shared.observability import bind, count, entry_point
from shared.services.refund_entries import read_entry

TRIES = 5


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the refund's amount and the payment's status. Raises StoreBusy."""
    request = RecordRefundInput.model_validate(event)
    bind(refund_id=request.refund_id, stripe_refund_id=request.stripe_refund_id)
    return _record(request).model_dump(exclude_none=True)


def _record(request: RecordRefundInput) -> RecordRefundOutput:
    for _ in range(TRIES):
        payment, entry = read_entry(request.payment_id, request.refund_id)
        if _recorded(entry, request):
            return RecordRefundOutput(
                amount=entry.amount,
                payment_status=payment.status,
                attempt=entry.attempt,
                event=_completion(payment, request.refund_id, entry) if entry.status in SETTLED else None,
            )
        now = datetime.now(UTC)
        if refund_ledger.update_refund(payment, request.refund_id, _ended(entry, request, now), now=now):
            count("Refunds", outcome=request.outcome)
            if request.outcome == "failed":
                publish(_failure(payment, request, entry, now))
    raise StoreBusy("the ledger kept changing")


def _completion(payment: Payment, refund_id: str, entry: Refund) -> RefundCompleted:
    return RefundCompleted.about(
        payment,
        f"{refund_id}-{entry.attempt}",
        entry.settled_at or entry.created_at,
        payment_intent=entry.payment_intent,
        refund_id=refund_id,
        stripe_refund_id=entry.stripe_refund_id,
        amount=entry.amount,
        payment_status=payment.status,
    )


def _failure(payment: Payment, request: RecordRefundInput, entry: Refund, now: datetime) -> RefundFailed:
    stripe_refund_id = request.stripe_refund_id or entry.stripe_refund_id
    return RefundFailed.about(
        payment,
        f"{request.refund_id}-{entry.attempt}-{stripe_refund_id or 'not_created'}",
        now,
        payment_intent=entry.payment_intent,
        refund_id=request.refund_id,
        stripe_refund_id=stripe_refund_id,
        amount=entry.amount,
        reason=request.failure_reason or "unknown",
    )


def _recorded(entry: Refund, request: RecordRefundInput) -> bool:
    """Whether there is nothing to record: the entry says it already, or what it says is final."""
    # What an operator settled another way stays settled, whatever Stripe reports about the old refund later.
    if entry.status == "settled_elsewhere":
        return True
    # A refund in Stripe's dashboard may have settled it while the operator answered.
    if request.outcome == "settled_elsewhere" and entry.status == "succeeded":
        return True
    # A late execution must not record a success that Stripe has taken back since.
    if request.outcome == "succeeded" and entry.status == "failed":
        return True
    by_another = request.stripe_refund_id != entry.stripe_refund_id
    # A refund in Stripe's dashboard may have settled what could not be created, or has failed.
    if request.outcome == "failed" and entry.status == "succeeded" and by_another:
        return True
    # The definition passes an empty id when Stripe never gave one.
    return entry.status == request.outcome and not (request.stripe_refund_id and by_another)


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
