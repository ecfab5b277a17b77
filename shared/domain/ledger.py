"""Totals of a payment's refunds, and which refund news is newer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.models import FAILED, PENDING, SETTLED, Payment, PaymentStatus, Refund, RefundState


@dataclass(frozen=True)
class Ledger:
    """The totals in cents, and the payment status that follows from them."""

    status: PaymentStatus
    refund_amount: int
    refund_pending_amount: int


def ledger(payment: Payment) -> Ledger:
    """Add up the refunds of the booking's own capture, or of all captures if none is the booking's."""
    own = payment.own_capture
    entries = _entries(payment)
    settled = sum(refund.amount for refund in entries if refund.status in SETTLED)
    pending = sum(refund.amount for refund in entries if refund.status in PENDING)
    status = payment.status
    if own is not None and status not in {"pending", "expired"}:
        status = "refunded" if settled >= own[1].amount else "partially_refunded" if settled else "completed"
    return Ledger(status=status, refund_amount=settled, refund_pending_amount=pending)


def refund_state(payment: Payment) -> RefundState:
    """How the same refunds stand together: `failed` as soon as one of them needs a person, `none` if there are none."""
    entries = _entries(payment)
    if any(refund.unsettled and refund.status not in PENDING for refund in entries):
        return "failed"
    if any(refund.status in PENDING for refund in entries):
        return "pending"
    return "settled" if any(refund.status in SETTLED for refund in entries) else "none"


def _entries(payment: Payment) -> list[Refund]:
    own = payment.own_capture
    return [refund for refund in payment.refunds.values() if own is None or refund.payment_intent == own[0]]


def enter_dashboard_refund(
    payment: Payment, refund_id: str, refund: Refund, now: datetime
) -> tuple[int, dict[str, Refund]] | None:
    """What is refundable of its capture afterwards, and every entry that changes.

    Where less is refundable than it has returned, refunds of ours that have failed or were settled elsewhere no longer
    reserve the difference. None if these do not suffice: another refund of ours is about to fail.
    """
    pi, changed = refund.payment_intent, {refund_id: refund}
    left = payment.captures[pi].refundable + amount_taken(payment.refunds.get(refund_id)) - amount_taken(refund)
    for status in ("failed", "settled_elsewhere"):
        for other_id, other in payment.refunds.items():
            released = min(-left, other.amount)
            if other.payment_intent != pi or other.kind == "dashboard" or other.status != status or released <= 0:
                continue
            left += released
            changed[other_id] = other.model_copy(update={"amount": other.amount - released})
            if released == other.amount:
                settled = {"status": "settled_elsewhere", "settled_at": other.settled_at or now}
                changed[other_id] = changed[other_id].model_copy(update=settled)
    return None if left < 0 else (left, changed)


def amount_taken(refund: Refund | None) -> int:
    """What a refund that was made outside has taken of its capture: nothing if it is missing or has failed."""
    return 0 if refund is None or refund.status in FAILED else refund.amount


# How final each refund status is. Events arrive in any order, and even `succeeded` may be followed by `failed`.
_FINALITY: Mapping[str, int] = {"pending": 0, "requires_action": 0, "succeeded": 1, "failed": 2, "canceled": 2}


def refund_moves_on(before: str, after: str) -> bool:
    """Whether the status `after` is news, rather than an older event that arrives late."""
    return _FINALITY[after] > _FINALITY.get(before, -1)
