"""What the reconciler does with one payment that is due.

It resumes or replaces executions, checks a released booking for late money, and notifies operators of a stay that was
cancelled without a refund. Then it sets when the payment is due next.
"""

from datetime import UTC, datetime, timedelta

from shared.adapters import bookings, payment_items, stripe_api
from shared.contracts.states import RefundInput
from shared.domain.due import CHECK_AGAIN_AFTER, ended_lately, next_due, watched
from shared.domain.errors import StripeRefused
from shared.domain.models import Matter, Payment
from shared.observability import bind
from shared.services.payment_restarts import check_execution
from shared.services.reconciliation import Report, notify_once
from shared.services.record_and_decide import notify_of_refusal
from shared.services.refund_restarts import check_refund, check_refunds, refund_late_payment
from shared.services.replacements import PAYMENT, planned


def check_due_payment(payment_id: str, report: Report) -> None:
    """Check a payment that the index lists as due; the index may lag behind."""
    payment = payment_items.read_payment(payment_id)
    if payment is not None and payment.due_at is not None and payment.due_at <= datetime.now(UTC):
        _check(payment, report)


def check_dead_execution(payment: Payment, report: Report, refund: RefundInput | None) -> None:
    """Check the payment or the `refund` whose execution has just died, whenever the payment is due."""
    bind(payment_id=payment.payment_id, reservation_id=payment.reservation_id)
    after = (
        check_execution(payment, report) if refund is None else check_refund(payment, refund.refund_id, report, refund)
    )
    now = datetime.now(UTC)
    due_at = next_due(after, now)
    if after != payment and due_at is not None:
        stored = payment_items.read_payment(payment.payment_id) or after
        # Whatever else has been written meanwhile, such as a dispute, stays as it is.
        key = PAYMENT if refund is None else refund.refund_id
        replaced = {name: one for name, one in after.replacements.items() if name == key}
        found = stored.model_copy(update={"replacements": {**stored.replacements, **replaced}})
        payment_items.reschedule(stored, found, min(due_at, payment.due_at or due_at), now=now)


def _check(before: Payment, report: Report) -> None:
    bind(payment_id=before.payment_id, reservation_id=before.reservation_id)
    payment = before
    ended_at = payment.completed_at or payment.updated_at
    lately = ended_lately(ended_at, datetime.now(UTC))
    if payment.status == "pending" or planned(payment, PAYMENT) is not None or lately:
        payment = check_execution(payment, report)
    payment = check_refunds(payment, report)
    if payment.status == "expired":
        payment = _check_released(payment, report)
    now = datetime.now(UTC)
    stay_over = watched(payment) and _check_stay(payment, report)
    due_at = next_due(payment, now, stay_over=stay_over)
    payment_items.reschedule(before, payment, due_at, now=now)


def _check_released(payment: Payment, report: Report) -> Payment:
    """Check the sessions of a released booking again, twice: money that came late is refunded."""
    now, done = datetime.now(UTC), payment.checks_after_release
    checks = sum(now >= payment.updated_at + after for after in CHECK_AGAIN_AFTER)
    if checks <= done:
        return payment
    for key, attempt in payment.attempts.items():
        if attempt.stripe_checkout_session_id is None:
            continue
        try:
            intent = stripe_api.retrieve_checkout_session(attempt.stripe_checkout_session_id).payment_intent
        except StripeRefused:
            notify_of_refusal(payment, key)
            continue
        if intent is not None and intent.status == "succeeded" and intent.id not in payment.captures:
            payment = refund_late_payment(payment, intent.id, report)
            report.record("late_money", payment_id=payment.payment_id, stripe_payment_intent_id=intent.id)
    return payment.model_copy(update={"checks_after_release": checks})


def _check_stay(payment: Payment, report: Report) -> bool:
    """Notify operators of a paid stay that the platform has cancelled or deleted: the decision is theirs.

    Returns whether there is nothing to watch any more.
    """
    reservation, _ = bookings.read_booking_items(payment.reservation_id)
    if reservation is not None and reservation.status != "cancelled":
        return datetime.now(UTC).date() > reservation.check_in + timedelta(days=1)
    what = f"the reservation is {'deleted' if reservation is None else 'cancelled'}, but nobody has asked for a refund"
    own = payment.own_capture
    amount = None if own is None else own[1].refundable
    matter = Matter(kind="cancelled_money_kept", since=datetime.now(UTC), amount=amount)
    if notify_once("money_kept", "CancelledMoneyKept", payment, what, matter):
        report.record("cancelled_money_kept", payment_id=payment.payment_id)
    return True
