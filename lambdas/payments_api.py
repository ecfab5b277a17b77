"""Routes /payments/…: start, read, retry and cancel a booking's payment (docs/integration.md).

Changes: starts and resumes executions; marks cancel requests, looks and granted attempts on the payment item.
Safe to run twice: an execution is named after its booking, a token resumes one wait only, a request to cancel stays
as it was first made. No route talks to Stripe, and none says that a booking is paid.
"""

import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from pydantic import ValidationError

from shared.adapters import bookings, payment_items, refund_ledger, step_functions
from shared.contracts.http import (
    AttemptStatusResponse,
    CheckoutSessionRequest,
    CheckoutSessionResponse,
    EmptyRequest,
    ErrorResponse,
    PaymentStatusResponse,
    RefundRequest,
    RefundResponse,
    RefundStatusResponse,
    ResolutionRequest,
)
from shared.contracts.states import RESERVATION_ID, Contract, OpenedAttempt, RefundExecutionInput
from shared.domain.attempts import amount_payable, attempts_left, hold_ending, new_payment, offerable
from shared.domain.errors import ApiError, TransientError
from shared.domain.ids import cancellation_id, goodwill_id, payment_id_of
from shared.domain.models import PENDING, SETTLED, Payment, RefundPolicy, Reservation, iso
from shared.domain.refund_policy import refund_by_policy
from shared.observability import bind, count, entry_point, logger
from shared.settings import settings

OPERATORS = "operators"
PATIENCE = 8.0  # seconds that a call waits for the workflow before it answers 202
PAUSE, LONGEST_PAUSE = 0.1, 1.0  # seconds between two reads
POLL_INTERVAL = 0.25  # seconds between two reads of a refund or a release, which take a second or two
MARGIN = timedelta(seconds=60)  # a session that ends sooner is not handed out any more

router = Router()  # type: ignore[no-untyped-call]


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer in the REST proxy shape; every answer carries the gateway's request id as `x-correlation-id`."""
    answer = _app().resolve(event, context)
    answer.setdefault("multiValueHeaders", {})["x-correlation-id"] = [event["requestContext"]["requestId"]]
    return answer


@functools.cache
def _app() -> APIGatewayRestResolver:
    default, *others = settings().origins
    cors = CORSConfig(
        allow_origin=default,
        extra_origins=others,
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        expose_headers=["x-correlation-id", "Location", "Retry-After"],
        max_age=600,
    )
    app = APIGatewayRestResolver(cors=cors)
    app.include_router(router)
    app.exception_handler(ApiError)(_refused)
    app.exception_handler(TransientError)(_unavailable)
    app.exception_handler(Exception)(_broken)
    app.not_found(lambda _: _refused(_not_found()))
    return app


# Errors.


def _refused(error: ApiError) -> Response[str]:
    logger.info("refused", error_code=error.error_code, details=error.details)
    count("ApiErrors", error_code=error.error_code)
    body = ErrorResponse(
        error_code=error.error_code, message=error.message, recovery=error.recovery, details=error.details
    )
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return _json(error.status, body, headers)


def _unavailable(error: TransientError) -> Response[str]:
    logger.error("unavailable", error=type(error).__name__, reason=str(error))
    return _refused(_internal_error())


def _broken(error: Exception) -> Response[str]:
    logger.error("unhandled", error=type(error).__name__, exc_info=error)
    return _refused(_internal_error())


def _internal_error() -> ApiError:
    return ApiError(
        500,
        "INTERNAL_ERROR",
        "Something went wrong on our side.",
        "Try again in a moment; if it stays, tell us the correlation id.",
        retry_after=5,
    )


def _not_found() -> ApiError:
    return ApiError(404, "NOT_FOUND", "There is no such booking.", "Check the address and the booking's number.")


def _not_payable(why: str) -> ApiError:
    return ApiError(
        400, "RESERVATION_NOT_PAYABLE", f"This booking cannot be paid: {why}.", "Look at the booking's status."
    )


def _invalid(details: dict[str, Any]) -> ApiError:
    return ApiError(
        400, "INVALID_REQUEST", "The request is malformed.", "Mend the fields named in details.", details=details
    )


def _json(status: int, body: Contract, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(
        status_code=status,
        content_type="application/json",
        body=body.model_dump_json(exclude_none=True),
        headers={**(headers or {})},
    )


# Who asks for what.


@dataclass(frozen=True)
class Caller:
    """From the verified claims only, never from a header."""

    customer_id: str | None
    operator: bool

    def owns(self, reservation: Reservation) -> bool:
        return self.customer_id is not None and self.customer_id == reservation.customer_id


def _caller() -> Caller:
    authorizer = router.current_event.raw_event["requestContext"].get("authorizer") or {}
    claims = authorizer.get("claims")
    if not claims:
        raise ApiError(401, "UNAUTHENTICATED", "You are not signed in.", "Sign in and try again.")
    groups = str(claims.get("cognito:groups") or "").split(",")
    return Caller(
        customer_id=claims.get(settings().customer_id_claim) or None,
        operator=OPERATORS in (group.strip() for group in groups),
    )


def _require_operator(caller: Caller) -> None:
    if not caller.operator:
        raise ApiError(403, "FORBIDDEN", "Only operators may do this.", "Ask the operators of the platform.")


def _reservation_id(given: str) -> str:
    """The reservation id of an id in a path, which may be the payment's."""
    reservation_id = given.removeprefix(payment_id_of(""))
    if RESERVATION_ID.fullmatch(reservation_id) is None:
        raise _invalid({"id": "must be a reservation id or a payment id"})
    return reservation_id


def _find(reservation_id: str, caller: Caller) -> tuple[Reservation, Payment | None]:
    """Somebody else's booking is answered exactly as one that does not exist."""
    bind(reservation_id=reservation_id)
    reservation, payment = bookings.read_booking_items(reservation_id)
    if reservation is None or not (caller.operator or caller.owns(reservation)):
        raise _not_found()
    return reservation, payment


def _body[Request: Contract](model: type[Request]) -> Request:
    event = router.current_event
    try:
        text = event.decoded_body
        return model.model_validate_json(text or "{}")
    except ValueError as error:
        raise _invalid(_fields(error)) from error


def _fields(error: ValueError) -> dict[str, Any]:
    """What is wrong with which field, without what was sent."""
    if not isinstance(error, ValidationError):
        return {"body": "is no JSON text"}
    return {
        ".".join(str(part) for part in entry["loc"]) or "body": entry["msg"]
        for entry in error.errors(include_url=False, include_input=False, include_context=False)
    }


# Opening a session.


@router.post("/payments/checkout-session")
def create_checkout_session() -> Response[str]:
    """Start the booking's payment, or hand back or open its session: 201 new, 200 the open one, 202 not ready."""
    caller = _caller()
    request = _body(CheckoutSessionRequest)
    urls = _urls(request)
    return _session(request.reservation_id, caller, urls)


@router.post("/payments/<payment_or_reservation_id>/retry")
def retry(payment_or_reservation_id: str) -> Response[str]:
    """Open the next attempt of a payment that was started before."""
    caller = _caller()
    reservation_id = _reservation_id(payment_or_reservation_id)
    _body(EmptyRequest)
    return _session(reservation_id, caller, None)


def _urls(request: CheckoutSessionRequest) -> tuple[str, str]:
    origin = settings().origins[0]
    success = request.success_url or f"{origin}/booking/success?session_id={{CHECKOUT_SESSION_ID}}"
    cancel = request.cancel_url or f"{origin}/booking/cancel?reservation_id={request.reservation_id}"
    wrong = {
        name: f"must be an address of {' or '.join(settings().origins)}"
        for name, url in (("success_url", success), ("cancel_url", cancel))
        if not _ours(url)
    }
    if wrong:
        raise _invalid(wrong)
    return success, cancel


def _ours(url: str) -> bool:
    """Whether the page is on a configured front end; Stripe's page must not send guests anywhere else."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or host is None:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in {"localhost", "127.0.0.1"})
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    return secure and origin in settings().origins


def _session(  # noqa: C901 - one loop over what the item says, a case each
    reservation_id: str, caller: Caller, urls: tuple[str, str] | None
) -> Response[str]:
    """Bring the workflow to an open session, and answer with it.

    One call starts the execution or signals it at most once; in between it reads, for 8 s.
    """
    until = time.monotonic() + PATIENCE
    acted_at: int | None = None  # the token sequence of the wait that this call has ended; 0 = it started the execution
    first = True
    while True:
        reservation, payment = _find(reservation_id, caller)
        now = datetime.now(UTC)
        if payment is not None and offerable(payment, reservation, margin=_margin(), now=now):
            return _json(200 if first else 201, _opened(payment))
        _check_payable(reservation, payment)
        if payment is None:
            if urls is None:
                raise _not_found()
            _start(reservation, urls, now)
            acted_at = 0
        elif payment.awaiting == "retry" and payment.task_token:
            sequence = payment.token_sequence or 0
            if acted_at is not None and sequence > acted_at:
                # The attempt that this call caused has failed.
                raise _why_no_session(payment, now)
            if acted_at is None:
                _check_retryable(payment, now)
                if step_functions.signal(payment.task_token, "retry"):
                    acted_at = sequence
        elif payment.task_token and _repriced(reservation, payment):
            # Its session is at the old price: the workflow closes it, and the guest's next call opens another.
            step_functions.signal(payment.task_token, "refresh")
            return _under_way(reservation_id, reservation, payment)
        if not _next_wait(payment_id_of(reservation_id), payment, until):
            return _under_way(reservation_id, reservation, payment)
        first = False


def _repriced(reservation: Reservation, payment: Payment) -> bool:
    current = payment.current
    return payment.awaiting == "payment" and current is not None and current.amount != reservation.total_amount


def _next_wait(payment_id: str, seen: Payment | None, until: float) -> bool:
    """Wait until the workflow has come to another wait, or to its end; False when that takes too long."""
    pause = PAUSE
    while time.monotonic() < until:
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
        payment = payment_items.read_payment(payment_id)
        if payment is None:
            continue
        if payment.status != "pending" or payment.token_sequence != (None if seen is None else seen.token_sequence):
            return True
    return False


def _margin() -> timedelta:
    return min(MARGIN, timedelta(seconds=settings().checkout_window_seconds / 10))


def _opened(payment: Payment) -> CheckoutSessionResponse:
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


def _check_payable(reservation: Reservation, payment: Payment | None) -> None:
    if reservation.status != "pending":
        raise _not_payable(f"it is {reservation.status}")
    if payment is not None and payment.status != "pending":
        raise _not_payable("its hold is over" if payment.status == "expired" else "it is paid already")
    if payment is not None and payment.cancel_requested_at is not None:
        raise _not_payable("it is being cancelled")
    if not amount_payable(reservation):
        raise _not_payable("its total is not an amount that can be charged")


def _start(reservation: Reservation, urls: tuple[str, str], now: datetime) -> None:
    payment = _new_payment(reservation, urls, now)
    _check_hold(payment, now)
    bind(payment_id=payment.payment_id)
    step_functions.start_payment(payment)


def _new_payment(reservation: Reservation, urls: tuple[str, str], now: datetime) -> Payment:
    hold = timedelta(seconds=settings().hold_seconds)
    return new_payment(reservation, hold=hold, success_url=urls[0], cancel_url=urls[1], now=now)


def _check_hold(payment: Payment, now: datetime) -> None:
    if hold_ending(payment.hold_expires_at, timedelta(seconds=settings().checkout_window_seconds), now):
        raise ApiError(
            409,
            "HOLD_ENDING",
            "The dates are not held long enough any more for another payment.",
            "Book again if the dates are still free.",
            details={"hold_expires_at": iso(payment.hold_expires_at)},
        )


def _check_retryable(payment: Payment, now: datetime) -> None:
    if attempts_left(payment, settings().max_attempts) == 0:
        raise ApiError(
            409,
            "ATTEMPTS_EXHAUSTED",
            "Every attempt to pay this booking is used up.",
            "Try another card or another way to pay with the platform's help; the dates are held until then.",
            details={"hold_expires_at": iso(payment.hold_expires_at)},
        )
    _check_hold(payment, now)


def _why_no_session(payment: Payment, now: datetime) -> ApiError:
    try:
        _check_retryable(payment, now)
    except ApiError as refusal:
        return refusal
    return ApiError(
        503,
        "STRIPE_UNAVAILABLE",
        "The payment page cannot be opened right now; your dates are kept.",
        "Try again in a moment.",
        retry_after=10,
    )


def _under_way(reservation_id: str, reservation: Reservation, payment: Payment | None) -> Response[str]:
    path = str(router.current_event.raw_event["requestContext"].get("path", ""))
    stage = path.partition("/payments/")[0]
    headers = {"Location": f"{stage}/payments/{reservation_id}/status", "Retry-After": "2"}
    return _json(202, _status(reservation, payment, datetime.now(UTC)), headers)


# Reading.


@router.get("/payments/<payment_or_reservation_id>/status")
def status(payment_or_reservation_id: str) -> Response[str]:
    """Say how the payment stands; while something is due, make the workflow look for the next reader."""
    caller = _caller()
    reservation, payment = _find(_reservation_id(payment_or_reservation_id), caller)
    now = datetime.now(UTC)
    query = router.current_event.query_string_parameters or {}
    due = payment is not None and _due(payment, query.get("session_id"), now)
    if due and payment and payment.task_token and payment_items.claim_refresh(payment, now=now):
        step_functions.signal(payment.task_token, "refresh")
    return _json(200, _status(reservation, payment, now))


def _due(payment: Payment, session_id: str | None, now: datetime) -> bool:
    """Overdue, or the guest has just come back from one of this payment's sessions."""
    if payment.status != "pending":
        return False
    sessions = {attempt.stripe_checkout_session_id for attempt in payment.attempts.values()}
    current = payment.current
    overdue = current is not None and current.status == "open" and now >= current.deadline
    return overdue or now >= payment.hold_expires_at or (session_id is not None and session_id in sessions)


def _status(reservation: Reservation, payment: Payment | None, now: datetime) -> PaymentStatusResponse:
    """Of a booking whose payment was never started too: `pending` while it can be."""
    known = payment or _new_payment(reservation, ("", ""), now)
    if payment is None and reservation.status != "pending":
        known = known.model_copy(update={"status": "expired"})
    left = attempts_left(payment, settings().max_attempts)
    window = timedelta(seconds=settings().checkout_window_seconds)
    open_now = offerable(known, reservation, margin=timedelta(0), now=now)
    payable = (
        known.status == "pending"
        and reservation.status == "pending"
        and known.cancel_requested_at is None
        and amount_payable(reservation)
    )
    return PaymentStatusResponse(
        reservation_id=known.reservation_id,
        payment_id=known.payment_id,
        status=known.status,
        amount=reservation.total_amount if known.amount is None else known.amount,
        currency="EUR",
        has_completed_payment=known.status in {"completed", "partially_refunded", "refunded"},
        is_refunded=known.status == "refunded",
        refund_amount=known.refund_amount,
        refund_pending_amount=known.refund_pending_amount,
        payment_attempts=sum(attempt.counted for attempt in known.attempts.values()),
        attempts_left=left,
        hold_expires_at=iso(known.hold_expires_at),
        # Before the first attempt or between two; while a session is open or looked at there is nothing to retry.
        can_retry=payable
        and (payment is None or payment.awaiting == "retry")
        and left > 0
        and not hold_ending(known.hold_expires_at, window, now),
        checkout_url=known.current.checkout_url if open_now and known.current else None,
        stripe_payment_intent_id=known.stripe_payment_intent_id,
        completed_at=_moment(known.completed_at),
        refunded_at=_moment(known.refunded_at),
        attempts=_attempts(known),
        refunds=_refunds(known),
    )


def _attempts(payment: Payment) -> list[AttemptStatusResponse]:
    return [
        AttemptStatusResponse(
            number=int(key),
            status=attempt.status,
            opened_at=iso(attempt.opened_at),
            closed_at=_moment(attempt.closed_at),
            declines=len(attempt.declines),
            failure_code=attempt.failure_code,
            failure_message=attempt.failure_message,
        )
        for key, attempt in sorted(payment.attempts.items(), key=lambda entry: int(entry[0]))
    ]


def _refunds(payment: Payment) -> list[RefundStatusResponse]:
    return [
        RefundStatusResponse(
            refund_id=refund_id,
            kind=refund.kind,
            status=refund.status,
            amount=refund.amount,
            reason=refund.reason,
            created_at=iso(refund.created_at),
            settled_at=_moment(refund.settled_at),
        )
        for refund_id, refund in sorted(payment.refunds.items(), key=lambda entry: entry[1].created_at)
    ]


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


# Cancelling.


@router.post("/payments/<payment_or_reservation_id>/cancel")
def cancel(payment_or_reservation_id: str) -> Response[str]:
    """Give up an unpaid booking: 200 when its dates are released, 202 while that is under way, 409 when it is paid."""
    caller = _caller()
    reservation_id = _reservation_id(payment_or_reservation_id)
    _body(EmptyRequest)
    reservation, payment = _find(reservation_id, caller)
    now = datetime.now(UTC)
    if payment is None and reservation.status in {"confirmed", "completed"}:
        raise _already_paid()
    if payment is None and reservation.status != "pending":
        return _json(200, _status(reservation, payment, now))
    fresh = payment or _new_payment(reservation, _urls(CheckoutSessionRequest(reservation_id=reservation_id)), now)
    if payment_items.request_cancel(fresh, by=_name_of(caller), now=now) and fresh.token_sequence is None:
        step_functions.start_payment(fresh)
    return _released(reservation_id, caller)


def _name_of(caller: Caller) -> str:
    return "operator" if caller.operator else str(caller.customer_id)


def _already_paid() -> ApiError:
    return ApiError(409, "ALREADY_PAID", "This booking is paid.", "Cancel it with a refund instead.")


def _released(reservation_id: str, caller: Caller) -> Response[str]:
    until = time.monotonic() + PATIENCE
    signalled = False
    while True:
        reservation, payment = _find(reservation_id, caller)
        if payment is not None and payment.status == "expired":
            return _json(200, _status(reservation, payment, datetime.now(UTC)))
        if payment is not None and payment.status != "pending":
            raise _already_paid()
        if payment is not None and payment.task_token and not signalled:
            signalled = step_functions.signal(payment.task_token, "cancel")
        if time.monotonic() > until:
            return _under_way(reservation_id, reservation, payment)
        time.sleep(POLL_INTERVAL)


# Refunds.


@router.post("/payments/<payment_or_reservation_id>/refund")
def refund(payment_or_reservation_id: str) -> Response[str]:
    """Cancel a paid booking with a refund by policy, or give an amount back: 200 settled, 202 under way."""
    caller = _caller()
    reservation_id = _reservation_id(payment_or_reservation_id)
    request = _body(RefundRequest)
    _check_allowed(caller, request)
    reservation, payment = _find(reservation_id, caller)
    refund_id = _refund_id(payment_id_of(reservation_id), request)
    bind(refund_id=refund_id)
    if payment is not None and refund_id in payment.refunds:
        if request.amount not in {None, payment.refunds[refund_id].amount} and request.kind == "goodwill":
            raise _invalid({"Idempotency-Key": "was used for another amount"})
        return _refunded(payment, refund_id)
    if payment is None or payment.own_capture is None or payment.status not in {"completed", "partially_refunded"}:
        raise _not_refundable("this booking has no completed payment to refund", {})
    order = _order(request, refund_id, caller, reservation, payment)
    if request.reason is not None:
        refund_ledger.record_refund_reason(payment, refund_id, request.reason)
    return _await_refund(order, caller)


def _check_allowed(caller: Caller, request: RefundRequest) -> None:
    """Guests cancel by policy; amounts and goodwill are the operators'."""
    if request.kind == "goodwill" or request.amount is not None:
        _require_operator(caller)


def _refund_id(payment_id: str, request: RefundRequest) -> str:
    if request.kind == "cancellation":
        return cancellation_id(payment_id)
    key = router.current_event.headers.get("Idempotency-Key")
    if not key:
        raise _invalid({"Idempotency-Key": "is needed for a goodwill refund"})
    return goodwill_id(payment_id, key)


def _order(
    request: RefundRequest, refund_id: str, caller: Caller, reservation: Reservation, payment: Payment
) -> RefundExecutionInput:
    """What the refund workflow is told; refused here where it would be refused there."""
    pi, capture = payment.own_capture or ("", None)
    if capture is None:
        raise LookupError(f"no capture of the booking on {payment.payment_id}")
    if payment.disputed(pi):
        raise _disputed()
    left = capture.refundable
    by_policy = refund_by_policy(
        reservation.check_in, capture.amount, time_zone=settings().time_zone, now=datetime.now(UTC)
    )
    if request.amount is not None or request.kind == "goodwill":
        amount = left if request.amount is None else request.amount
        policy: RefundPolicy = "manual_refund"
    elif by_policy.policy is None:
        raise _not_refundable(
            "it is too late for a refund by the cancellation policy",
            {
                "check_in_date": reservation.check_in.isoformat(),
                "days_until_checkin": by_policy.days_until_checkin,
                "policy": "no_refund",
            },
        )
    else:
        amount, policy = min(by_policy.amount, left), by_policy.policy
    if amount > left or amount < 1:
        raise _not_enough(payment)
    return RefundExecutionInput(
        refund_id=refund_id,
        reservation_id=payment.reservation_id,
        payment_id=payment.payment_id,
        kind=request.kind,
        payment_intent=pi,
        amount=amount,
        policy=policy,
        requested_by="operator" if caller.operator else "guest",
    )


def _not_refundable(why: str, details: dict[str, Any]) -> ApiError:
    return ApiError(
        400, "REFUND_NOT_ALLOWED", f"No refund: {why}.", "Ask the operators of the platform.", details=details or None
    )


def _disputed() -> ApiError:
    return ApiError(
        409,
        "PAYMENT_DISPUTED",
        "The payment is disputed at the bank, which decides about the money.",
        "Wait for the bank's decision.",
    )


def _in_progress() -> ApiError:
    return ApiError(
        409,
        "REFUND_IN_PROGRESS",
        "Another refund of this booking is under way.",
        "Wait until it is settled; the booking's status shows it.",
    )


def _not_enough(payment: Payment) -> ApiError:
    pi, left = (payment.own_capture[0], payment.own_capture[1].refundable) if payment.own_capture else ("", 0)
    if any(entry.payment_intent == pi and entry.unsettled for entry in payment.refunds.values()):
        return _in_progress()
    return _not_refundable("less is left on the payment than was asked for", {"refundable_amount": max(0, left)})


def _await_refund(order: RefundExecutionInput, caller: Caller) -> Response[str]:
    """Start the refund's execution and wait for its end, for 8 s.

    A name stays used up after its execution was refused or died, so the next one is tried, but never beside one that
    still runs.
    """
    until = time.monotonic() + PATIENCE
    restart = 0
    name = order.refund_id
    started = step_functions.start_refund(name, order)
    while True:
        _, payment = _find(order.reservation_id, caller)
        entry = None if payment is None else payment.refunds.get(order.refund_id)
        if payment is not None and entry is not None:
            if entry.status not in PENDING or time.monotonic() > until:
                return _refunded(payment, order.refund_id)
        else:
            execution = step_functions.refund_execution(name)
            # One just started may not be described yet.
            if not execution.runs and execution != step_functions.MISSING and payment is not None:
                if started:
                    raise _why_refused(execution, payment)
                restart += 1
                name = step_functions.execution_name(order.refund_id, restart)
                started = step_functions.start_refund(name, order)
            elif time.monotonic() > until:
                raise _in_progress()
        time.sleep(POLL_INTERVAL)


def _why_refused(execution: step_functions.Execution, payment: Payment) -> ApiError:
    refused = None if execution.output is None else execution.output.get("refused")
    if refused == "PaymentDisputed":
        return _disputed()
    if refused == "NotEnoughLeft":
        return _not_enough(payment)
    if refused == "NotRefundable":
        return _not_refundable("this booking has no completed payment to refund", {})
    logger.error("refund not reserved", status=execution.status)
    return _internal_error()


def _refunded(payment: Payment, refund_id: str) -> Response[str]:
    entry = payment.refunds[refund_id]
    original = payment.captures[entry.payment_intent].amount
    settled = entry.status in SETTLED
    body = RefundResponse(
        payment_id=payment.payment_id,
        refund_id=refund_id,
        stripe_refund_id=entry.stripe_refund_id,
        amount=entry.amount,
        status="pending" if entry.status in PENDING else "failed" if entry.status == "canceled" else entry.status,
        refund_policy=entry.policy or "manual_refund",
        original_amount=original,
        refunded_at=_moment(entry.settled_at),
    )
    return _json(200 if settled else 202, body)


@router.post("/payments/<payment_or_reservation_id>/refunds/<refund_id>/resolution")
def resolve_refund(payment_or_reservation_id: str, refund_id: str) -> Response[str]:
    """Answer for a refund that failed and waits for a person: try again, or settled by another way."""
    caller = _caller()
    _require_operator(caller)
    reservation_id = _reservation_id(payment_or_reservation_id)
    request = _body(ResolutionRequest)
    bind(refund_id=refund_id)
    _, payment = _find(reservation_id, caller)
    entry = None if payment is None else payment.refunds.get(refund_id)
    if payment is None or entry is None:
        raise _not_found()
    token = entry.task_token
    if entry.awaiting != "operator" or token is None:
        raise _in_progress()
    if request.note is not None:
        refund_ledger.record_operator_note(payment.payment_id, refund_id, token=token, note=request.note)
    if not step_functions.signal(token, request.answer):
        raise _in_progress()
    until = time.monotonic() + PATIENCE
    while True:
        _, payment = _find(reservation_id, caller)
        if payment is None:
            raise _not_found()
        now = payment.refunds[refund_id]
        if now.status in SETTLED or now.task_token not in {token, None} or time.monotonic() > until:
            # Whatever the answer led to, it was taken.
            return Response(status_code=200, content_type="application/json", body=_refunded(payment, refund_id).body)
        time.sleep(POLL_INTERVAL)


# Operators.


@router.post("/payments/<payment_or_reservation_id>/attempts")
def grant_attempt(payment_or_reservation_id: str) -> Response[str]:
    """Grant one more attempt."""
    caller = _caller()
    _require_operator(caller)
    reservation_id = _reservation_id(payment_or_reservation_id)
    _body(EmptyRequest)
    reservation, payment = _find(reservation_id, caller)
    if payment is None:
        raise _not_found()
    _check_payable(reservation, payment)
    if not payment_items.grant_attempt(payment.payment_id, now=datetime.now(UTC)):
        raise _not_payable("its payment is over")
    return _json(200, _status(*_find(reservation_id, caller), datetime.now(UTC)))
