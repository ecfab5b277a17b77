"""State ReserveRefund: record the refund in the ledger and reserve its amount, before any money moves.

Changes: the payment item (the refund's entry, the refundable rest of the capture, the role of an unapplied capture);
for a cancellation also the reservation (`cancelled`) and its nights, in the same transaction.
Safe to run twice: the second run finds the entry. Two refunds cannot reserve the same cents, because each write
requires that the refundable amount is still the one that was read. When a refund from the dashboard has left nothing
of an unapplied capture, this refund is rejected but the capture still gets its role: if the dashboard's refund fails,
the webhook refunds the money.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings, refund_ledger
from shared.adapters.notifications import publish
from shared.contracts.booking_events import BookingCancelled
from shared.contracts.states import RefundOutput, ReserveRefundInput
from shared.domain.booking import Booking, payment_of
from shared.domain.errors import CaptureDisputed, NotEnoughLeft, NotRefundable, PaymentDisputed, StoreBusy
from shared.domain.models import PENDING, SETTLED, Capture, Payment, Refund
from shared.observability import bind, count, entry_point
from shared.services.captures import record_capture
from shared.services.refund_entries import entry_output

TRIES = 5


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the refund's entry.

    Raises NotRefundable, NotEnoughLeft, PaymentDisputed (nothing was changed), CaptureDisputed (the refund is recorded
    and an operator must decide), StripeUnavailable, StoreBusy.
    """
    request = ReserveRefundInput.model_validate(event)
    bind(refund_id=request.refund_id, stripe_payment_intent_id=request.payment_intent)
    return _find_or_reserve(request).model_dump(exclude_none=True)


def _find_or_reserve(request: ReserveRefundInput) -> RefundOutput:
    for _ in range(TRIES):
        booking = bookings.read_booking(request.reservation_id)
        payment = payment_of(booking)
        entry = payment.refunds.get(request.refund_id) or _reserve(request, booking, payment)
        if entry is None:
            continue
        # What Stripe had before a dispute came settles as ever: an execution that replaces another goes on.
        goes_on = entry.status in SETTLED or (entry.status in PENDING and entry.stripe_refund_id is not None)
        if request.kind == "unapplied" and payment.disputed(request.payment_intent) and not goes_on:
            raise CaptureDisputed(request.payment_intent)
        return entry_output(entry)
    raise StoreBusy("the payment kept changing while its refund was reserved")


def _reserve(request: ReserveRefundInput, booking: Booking, payment: Payment) -> Refund | None:
    """Write the entry and return it; None when something changed in between, or a capture had to be recorded first."""
    now = datetime.now(UTC)
    unapplied = request.kind == "unapplied"
    capture = _find_unapplied_capture(request, payment) if unapplied else _require_own_capture(request, payment)
    if capture is None:
        return None
    amount = capture.refundable if request.amount is None else request.amount
    if unapplied and amount < 1 and not refund_ledger.mark_unapplied(payment, request.payment_intent, capture):
        return None
    # A guest may cancel where the policy gives nothing back: then the ledger shows a refund of nothing.
    least = 0 if request.kind == "cancellation" else 1
    if not least <= amount <= max(0, capture.refundable):
        raise NotEnoughLeft(f"{capture.refundable} cents are left, {amount} are requested")
    entry = Refund(
        kind=request.kind,
        payment_intent=request.payment_intent,
        amount=amount,
        status="pending" if amount else "succeeded",
        reason=_reason(payment, request),
        reason_public=request.reason_public,
        requested_by=request.requested_by,
        policy=request.policy,
        created_at=now,
        settled_at=None if amount else now,
        execution=request.execution,
    )
    cancel_stay = request.kind == "cancellation" and booking.reservation.status == "confirmed"
    if not bookings.reserve_refund(booking, request.refund_id, entry, cancel_stay=cancel_stay, now=now):
        return None
    count("RefundsReserved", kind=request.kind)
    if cancel_stay:
        publish(
            BookingCancelled.about(
                payment,
                "",
                now,
                payment_intent=request.payment_intent,
                refund_id=request.refund_id,
                refund_amount=amount,
                reason=entry.reason,
            )
        )
    return entry


def _reason(payment: Payment, request: ReserveRefundInput) -> str | None:
    """What the person who requests the refund wrote; another's text may be private, and led to no refund."""
    written = payment.refund_reasons.get(request.refund_id)
    return written.text if written is not None and written.requested_by == request.requested_by else None


def _require_own_capture(request: ReserveRefundInput, payment: Payment) -> Capture:
    own = payment.own_capture
    if own is None or own[0] != request.payment_intent or payment.status in {"pending", "expired"}:
        raise NotRefundable(f"payment {payment.status}")
    if payment.disputed(request.payment_intent):
        raise PaymentDisputed(request.payment_intent)
    return own[1]


def _find_unapplied_capture(request: ReserveRefundInput, payment: Payment) -> Capture | None:
    """Return the recorded capture; if no state has recorded it, record it as Stripe has it and return None."""
    known = payment.captures.get(request.payment_intent)
    if known is None:
        record_capture(payment, request.payment_intent)
    elif known.role == "booking":
        raise NotRefundable("the capture paid for the booking")
    return known
