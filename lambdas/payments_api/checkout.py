"""POST /payments/checkout-session and …/retry: bring the workflow to an open Checkout Session.

Changes: starts the booking's execution, or resumes its wait for the next attempt; at most one of them per call.
Safe to run twice: the execution is named after the booking, and a token resumes one wait only.
"""

import functools
from datetime import UTC, datetime, timedelta

from aws_lambda_powertools.event_handler import Response

from lambdas.payments_api import polling
from lambdas.payments_api.eligibility import check_attempt_allowed, check_hold, check_payable
from lambdas.payments_api.return_urls import ReturnUrls, return_urls
from lambdas.payments_api.router import router
from lambdas.payments_api.status import accepted, unstarted_payment
from shared.adapters import payment_items, step_functions
from shared.contracts.http_bodies import CheckoutSessionRequest, CheckoutSessionResponse, EmptyRequest
from shared.contracts.states import OpenedAttempt
from shared.domain.api_errors import ApiError
from shared.domain.attempts import attempts_left, offerable
from shared.domain.booking import Reservation
from shared.domain.models import Payment, iso
from shared.observability import bind
from shared.services import http_api
from shared.services.http_api import Caller
from shared.settings import settings

MARGIN = timedelta(seconds=60)  # a session that ends sooner than this is not offered


@router.post("/payments/checkout-session")
def create_checkout_session() -> Response[str]:
    """Start the booking's payment, or return its session: 201 new, 200 already open, 202 not ready yet."""
    caller = http_api.identify_caller()
    request = http_api.parse_body(CheckoutSessionRequest)
    return _open_session(request.reservation_id, caller, return_urls(request))


@router.post("/payments/<payment_or_reservation_id>/retry")
def retry(payment_or_reservation_id: str) -> Response[str]:
    """Open the next attempt, or the first one if the payment was never started: 201, 200 or 202 as for Pay now."""
    caller = http_api.identify_caller()
    reservation_id = http_api.parse_reservation_id(payment_or_reservation_id)
    http_api.parse_body(EmptyRequest)
    return _open_session(reservation_id, caller, return_urls(CheckoutSessionRequest(reservation_id=reservation_id)))


def _open_session(reservation_id: str, caller: Caller, urls: ReturnUrls) -> Response[str]:
    """Act once if the workflow needs it, then wait until a session can be offered."""
    deadline = polling.deadline()
    ended_wait: int | None = None
    status = 200
    reservation, payment = http_api.find_booking(reservation_id, caller)
    while True:
        now = datetime.now(UTC)
        if payment is not None and offerable(payment, reservation, margin=_margin(), now=now):
            return http_api.json_response(status, _session_response(payment))
        check_payable(reservation, payment)
        if payment is not None and payment.task_token and _repriced(reservation, payment):
            # The open session has the old price: the workflow expires it, and the guest's next call opens another.
            if not step_functions.signal(payment.task_token, "refresh"):
                payment_items.mark_due(payment, now=now)
            return accepted(reservation, payment)
        ended_wait = _request_attempt(reservation, payment, urls, ended_wait, now)
        progressed = functools.partial(_progressed, None if payment is None else payment.token_sequence)
        reservation, payment = polling.poll(
            lambda: http_api.find_booking(reservation_id, caller),
            until=progressed,
            pauses=polling.session_pauses(),
            deadline=deadline,
        )
        if not progressed((reservation, payment)):
            return accepted(reservation, payment)
        status = 201


def _request_attempt(
    reservation: Reservation, payment: Payment | None, urls: ReturnUrls, ended_wait: int | None, now: datetime
) -> int | None:
    """Start the execution, or end its wait for the next attempt, unless this call has done so already.

    Returns the token sequence of the wait that this call has ended: 0 if it started the execution, None if it has not
    acted. Raises ApiError when the attempt is not allowed, or has failed.
    """
    if payment is None:
        _start_payment(reservation, urls, now)
        return 0
    if payment.awaiting != "retry" or not payment.task_token:
        return ended_wait
    sequence = payment.token_sequence or 0
    if ended_wait is None:
        check_attempt_allowed(payment, now)
        if step_functions.signal(payment.task_token, "retry"):
            return sequence
        payment_items.mark_due(payment, now=now)
        return None
    if sequence > ended_wait:  # the attempt that this call requested has failed
        check_attempt_allowed(payment, now)
        if payment.current is not None and payment.current.close_reason == "refused":
            raise ApiError("PAYMENT_REFUSED")
        raise ApiError("STRIPE_UNAVAILABLE")
    return ended_wait


def _repriced(reservation: Reservation, payment: Payment) -> bool:
    current = payment.current
    return payment.awaiting == "payment" and current is not None and current.amount != reservation.total_amount


def _progressed(seen_sequence: int | None, booking: tuple[Reservation, Payment | None]) -> bool:
    """Whether the workflow has come to another wait or to its end."""
    _, payment = booking
    return payment is not None and (payment.status != "pending" or payment.token_sequence != seen_sequence)


def _margin() -> timedelta:
    return min(MARGIN, timedelta(seconds=settings().checkout_window_seconds / 10))


def _session_response(payment: Payment) -> CheckoutSessionResponse:
    attempt = OpenedAttempt.published(payment)
    if attempt is None or payment.amount is None:
        raise LookupError(f"no published attempt on {payment.payment_id}")
    return CheckoutSessionResponse(
        payment_id=payment.payment_id,
        reservation_id=payment.reservation_id,
        checkout_session_id=attempt.session_id,
        checkout_url=attempt.checkout_url,
        expires_at=attempt.deadline,
        amount=payment.amount,
        currency="EUR",
        attempt_number=sum(known.counted for known in payment.attempts.values()),
        attempts_left=attempts_left(payment, settings().max_attempts),
        hold_expires_at=iso(payment.hold_expires_at),
    )


def _start_payment(reservation: Reservation, urls: ReturnUrls, now: datetime) -> None:
    payment = unstarted_payment(reservation, urls, now)
    check_hold(payment, now)
    bind(payment_id=payment.payment_id)
    step_functions.start_payment(payment)
