"""GET …/refund-quote: what a cancellation gives back now. Changes nothing."""

from datetime import UTC, datetime

from aws_lambda_powertools.event_handler import Response

from lambdas.payments_api.router import router
from shared.contracts.http_bodies import RefundQuoteResponse
from shared.domain.api_errors import ApiError
from shared.domain.attempts import agreed_policy
from shared.domain.booking import Reservation
from shared.domain.ids import cancellation_id
from shared.domain.models import Capture, Payment, optional_iso
from shared.domain.refund_policy import PolicyRefund, refund_by_policy, terms
from shared.services import http_api
from shared.settings import settings


@router.get("/payments/<payment_or_reservation_id>/refund-quote")
def refund_quote(payment_or_reservation_id: str) -> Response[str]:
    """What a cancellation gives back now, and when that changes next."""
    caller = http_api.identify_caller()
    reservation, payment = http_api.find_booking(http_api.parse_reservation_id(payment_or_reservation_id), caller)
    if payment is not None and cancellation_id(payment.payment_id) in payment.refunds:
        raise ApiError("REFUND_NOT_ALLOWED", "cancelled")
    payment, _, capture = refundable_capture(payment)
    policy = agreed_policy(reservation, payment, settings().refund_policy)
    now = quote(reservation, payment, capture.amount)
    left = max(0, capture.refundable)
    body = RefundQuoteResponse(
        reservation_id=reservation.reservation_id,
        payment_id=payment.payment_id,
        amount=min(now.amount, left),
        currency="EUR",
        policy=now.applied,
        original_amount=capture.amount,
        days_until_checkin=now.days_until_checkin,
        changes_at=optional_iso(now.changes_at),
        next_amount=None if now.next_amount is None else min(now.next_amount, left),
        refund_policy=policy,
        terms=terms(policy, reservation.check_in, datetime.now(settings().time_zone).date()),
    )
    return http_api.json_response(200, body)


def refundable_capture(payment: Payment | None) -> tuple[Payment, str, Capture]:
    """The payment with the capture that paid for the booking. Raises REFUND_NOT_ALLOWED, PAYMENT_DISPUTED."""
    own = None if payment is None else payment.own_capture
    if payment is None or own is None or payment.status not in {"completed", "partially_refunded"}:
        raise ApiError("REFUND_NOT_ALLOWED", "not_paid")
    if payment.disputed(own[0]):
        raise ApiError("PAYMENT_DISPUTED")
    return payment, *own


def quote(reservation: Reservation, payment: Payment, amount: int) -> PolicyRefund:
    """What the policy gives back of `amount` (cents) for a cancellation now."""
    policy = agreed_policy(reservation, payment, settings().refund_policy)
    return refund_by_policy(policy, reservation.check_in, amount, time_zone=settings().time_zone, now=datetime.now(UTC))
