"""GET …/status: how the payment stands, with its attempts and refunds.

Changes: claims a refresh on the payment item and resumes the wait, at most every 5 s and 20 times per attempt.
"""

from datetime import UTC, datetime, timedelta

from aws_lambda_powertools.event_handler import Response

from lambdas.payments_api.eligibility import attempt_allowed
from lambdas.payments_api.return_urls import ReturnUrls
from lambdas.payments_api.router import router
from shared.adapters import payment_items, step_functions
from shared.contracts.http_bodies import AttemptStatusResponse, PaymentStatusResponse, RefundStatusResponse
from shared.domain.attempts import agreed_policy, attempts_left, new_payment, offerable
from shared.domain.booking import Reservation, end_reason
from shared.domain.ledger import refund_state
from shared.domain.models import Payment, iso, optional_iso
from shared.services import http_api
from shared.settings import settings


@router.get("/payments/<payment_or_reservation_id>/status")
def read_status(payment_or_reservation_id: str) -> Response[str]:
    """Answer with the status; when something is due, ask the workflow to refresh it for the next reader."""
    caller = http_api.identify_caller()
    reservation, payment = http_api.find_booking(http_api.parse_reservation_id(payment_or_reservation_id), caller)
    now = datetime.now(UTC)
    query = router.current_event.query_string_parameters
    due = payment is not None and _refresh_due(payment, query.get("session_id"), now)
    claimed = due and payment and payment.task_token and payment_items.claim_refresh(payment, now=now)
    if claimed and payment and payment.task_token and not step_functions.signal(payment.task_token, "refresh"):
        payment_items.mark_due(payment, now=now)
    return http_api.json_response(200, payment_status(reservation, payment, now))


def _refresh_due(payment: Payment, session_id: str | None, now: datetime) -> bool:
    """Whether the payment is overdue, or the guest has just come back from one of its sessions."""
    if payment.status != "pending":
        return False
    sessions = {attempt.stripe_checkout_session_id for attempt in payment.attempts.values()}
    current = payment.current
    overdue = current is not None and current.status == "open" and now >= current.deadline
    return overdue or now >= payment.hold_expires_at or (session_id is not None and session_id in sessions)


def accepted(reservation: Reservation, payment: Payment | None) -> Response[str]:
    """The answer 202: the workflow is not done yet, and the status will show when it is."""
    path = str(router.current_event.raw_event["requestContext"].get("path", ""))
    stage = path.partition("/payments/")[0]
    headers = {"Location": f"{stage}/payments/{reservation.reservation_id}/status", "Retry-After": "2"}
    return http_api.json_response(202, payment_status(reservation, payment, datetime.now(UTC)), headers)


def unstarted_payment(reservation: Reservation, urls: ReturnUrls, now: datetime) -> Payment:
    """The payment as it would be if its workflow started now."""
    hold = timedelta(seconds=settings().hold_seconds)
    return new_payment(reservation, hold=hold, success_url=urls.success, cancel_url=urls.cancel, now=now)


def payment_status(reservation: Reservation, payment: Payment | None, now: datetime) -> PaymentStatusResponse:
    """The status of a payment; one that was never started is `pending` for as long as it can be started."""
    known = payment or unstarted_payment(reservation, ReturnUrls("", ""), now)
    if payment is None and reservation.status != "pending":
        known = known.model_copy(update={"status": "expired"})
    left = attempts_left(payment, settings().max_attempts)
    offered = known.current if offerable(known, reservation, margin=timedelta(0), now=now) else None
    return PaymentStatusResponse(
        reservation_id=known.reservation_id,
        payment_id=known.payment_id,
        status=known.status,
        reservation_status=reservation.status,
        amount=reservation.total_amount if known.amount is None else known.amount,
        currency="EUR",
        has_completed_payment=known.status in {"completed", "partially_refunded", "refunded"},
        is_refunded=known.status == "refunded",
        refund_amount=known.refund_amount,
        refund_pending_amount=known.refund_pending_amount,
        refund_state=refund_state(known),
        payment_attempts=sum(attempt.counted for attempt in known.attempts.values()),
        attempts_left=left,
        hold_expires_at=iso(known.hold_expires_at),
        # Before the first attempt or between two; while a session is open or being checked there is nothing to retry.
        can_retry=(payment is None or payment.awaiting == "retry") and attempt_allowed(reservation, known, now),
        checkout_url=offered.checkout_url if offered else None,
        expires_at=optional_iso(offered.deadline) if offered else None,
        end_reason=end_reason(reservation, known),
        poll_after_seconds=_poll_after(payment),
        stripe_payment_intent_id=known.stripe_payment_intent_id,
        completed_at=optional_iso(known.completed_at),
        refunded_at=optional_iso(known.refunded_at),
        refund_policy=agreed_policy(reservation, payment, settings().refund_policy),
        attempts=[AttemptStatusResponse.of(key, attempt) for key, attempt in known.attempts_in_order],
        refunds=[RefundStatusResponse.of(refund_id, refund) for refund_id, refund in known.refunds_in_order],
    )


def _poll_after(payment: Payment | None) -> int | None:
    """How soon the status may be another one, in seconds."""
    if payment is not None and payment.status == "pending":
        return {None: 1, "payment": 3, "retry": 15}[payment.awaiting]
    return 30 if payment is not None and refund_state(payment) == "pending" else None
