"""POST …/refund: cancel a paid booking with a refund by policy, or refund an amount out of goodwill.

Changes: records the reason of the refund; starts the refund's execution, or its replacement.
Safe to run twice: a refund has one id, its execution is named after it, and a refund that exists is only read.
"""

from aws_lambda_powertools.event_handler import Response

from lambdas.payments_api import polling
from lambdas.payments_api.refund_quotes import quote, refundable_capture
from lambdas.payments_api.router import router
from shared.adapters import payment_items, refund_ledger, step_functions
from shared.contracts.http_bodies import RefundRequest, RefundResponse
from shared.contracts.states import RefundExecutionInput
from shared.domain.api_errors import ApiError
from shared.domain.booking import Reservation
from shared.domain.ids import cancellation_id, goodwill_id, payment_id_of
from shared.domain.models import PENDING, SETTLED, Capture, Payment, RefundReason, optional_iso
from shared.domain.refund_policy import AppliedPolicy
from shared.observability import bind, logger
from shared.services import http_api
from shared.services.http_api import Caller


@router.post("/payments/<payment_or_reservation_id>/refund")
def refund(payment_or_reservation_id: str) -> Response[str]:
    """Refund a payment, by policy unless an operator says otherwise: 200 settled, 202 under way."""
    caller = http_api.identify_caller()
    reservation_id = http_api.parse_reservation_id(payment_or_reservation_id)
    request = http_api.parse_body(RefundRequest)
    if request.kind == "goodwill" or request.amount is not None:
        http_api.require_operator(caller)
        if request.accept_no_refund:
            raise ApiError("INVALID_REQUEST", details={"accept_no_refund": "Only for a cancellation by policy."})
    reservation, payment = http_api.find_booking(reservation_id, caller)
    refund_id = _refund_id(payment_id_of(reservation_id), request)
    bind(refund_id=refund_id)
    if payment is not None and refund_id in payment.refunds:
        _check_amount(request, payment, refund_id)
        return refund_response(payment, refund_id)
    payment, payment_intent, capture = refundable_capture(payment)
    amount, policy = _amount_and_policy(request, reservation, payment, capture)
    if not (0 if request.accept_no_refund else 1) <= amount <= capture.refundable:
        raise _not_enough_left(payment, payment_intent)
    order = RefundExecutionInput(
        refund_id=refund_id,
        reservation_id=payment.reservation_id,
        payment_id=payment.payment_id,
        kind=request.kind,
        payment_intent=payment_intent,
        amount=amount,
        policy=policy,
        requested_by=caller.name,
        reason_public=request.reason_public or None,
    )
    if request.reason is not None:
        reason = RefundReason(text=request.reason, requested_by=caller.name)
        refund_ledger.record_refund_reason(payment, refund_id, reason)
    payment = _start_and_wait(order, caller)
    _check_amount(request, payment, refund_id)
    return refund_response(payment, refund_id)


def _check_amount(request: RefundRequest, payment: Payment, refund_id: str) -> None:
    """Raises REFUND_EXISTS if the refund has another amount than the one requested, perhaps in another call."""
    amount = payment.refunds[refund_id].amount
    if request.amount not in {None, amount}:
        details = {"refund_id": refund_id, "amount": amount}
        raise ApiError("REFUND_EXISTS", "key" if request.kind == "goodwill" else "general", details=details)


def _refund_id(payment_id: str, request: RefundRequest) -> str:
    if request.kind == "cancellation":
        return cancellation_id(payment_id)
    key = router.current_event.headers.get("Idempotency-Key")
    if not key:
        raise ApiError("INVALID_REQUEST", details={"Idempotency-Key": "This header is required for a goodwill refund."})
    return goodwill_id(payment_id, key)


def _amount_and_policy(
    request: RefundRequest, reservation: Reservation, payment: Payment, capture: Capture
) -> tuple[int, AppliedPolicy]:
    """What to refund, in cents, and by which policy. Raises REFUND_NOT_ALLOWED."""
    if request.amount is not None:
        return request.amount, "manual_refund"
    if request.kind == "goodwill":
        return capture.refundable, "manual_refund"
    by_policy = quote(reservation, payment, capture.amount)
    if by_policy.amount == 0 and not request.accept_no_refund:
        details = {
            "check_in_date": reservation.check_in.isoformat(),
            "days_until_checkin": by_policy.days_until_checkin,
            "policy": "no_refund",
        }
        raise ApiError("REFUND_NOT_ALLOWED", "too_late", details=details)
    return max(0, min(by_policy.amount, capture.refundable)), by_policy.applied


def _not_enough_left(payment: Payment, payment_intent: str) -> ApiError:
    if any(entry.payment_intent == payment_intent and entry.unsettled for entry in payment.refunds.values()):
        return ApiError("REFUND_IN_PROGRESS")
    left = max(0, payment.captures[payment_intent].refundable)
    return ApiError("REFUND_NOT_ALLOWED", "too_much", details={"refundable_amount": left})


def _start_and_wait(order: RefundExecutionInput, caller: Caller) -> Payment:
    """Start the refund's execution and wait until the refund is settled.

    A name cannot be used again after its execution has closed, so the next one is tried, but never beside an
    execution that still runs.
    """
    name, restart = order.refund_id, 0
    started = step_functions.start_refund(name, order)

    def read_or_restart() -> Payment | None:
        nonlocal name, restart, started
        payment = payment_items.read_payment(order.payment_id)
        if payment is None or order.refund_id in payment.refunds:
            return payment
        execution = step_functions.refund_execution(name)
        if execution.runs or execution == step_functions.MISSING:  # an execution just started may not be visible yet
            return payment
        # It may have entered the refund and ended since the payment was read.
        payment = payment_items.read_payment(order.payment_id)
        if payment is None or order.refund_id in payment.refunds:
            return payment
        if started:
            raise _why_refused(execution, payment, order.payment_intent, caller)
        restart += 1
        name = step_functions.execution_name(order.refund_id, restart)
        started = step_functions.start_refund(name, order)
        return payment

    def settled(payment: Payment | None) -> bool:
        entry = None if payment is None else payment.refunds.get(order.refund_id)
        return entry is not None and entry.status not in PENDING

    payment = polling.poll(read_or_restart, until=settled)
    if payment is None or order.refund_id not in payment.refunds:
        raise ApiError("REFUND_IN_PROGRESS")
    return payment


def _why_refused(
    execution: step_functions.Execution, payment: Payment, payment_intent: str, caller: Caller
) -> ApiError:
    refused = None if execution.output is None else execution.output.get("refused")
    match refused:
        case "PaymentDisputed":
            return ApiError("PAYMENT_DISPUTED")
        case "NotEnoughLeft":
            return _not_enough_left(payment, payment_intent)
        case "NotRefundable":
            return ApiError("REFUND_NOT_ALLOWED", "not_paid")
    http_api.find_booking(payment.reservation_id, caller)  # it dies of a reservation that cannot be read
    logger.error("refund not reserved", status=execution.status)
    return ApiError("INTERNAL_ERROR")


def refund_response(payment: Payment, refund_id: str, status: int | None = None) -> Response[str]:
    """How the refund stands: 200 settled, 202 under way, unless `status` is given."""
    entry = payment.refunds[refund_id]
    body = RefundResponse(
        payment_id=payment.payment_id,
        refund_id=refund_id,
        stripe_refund_id=entry.stripe_refund_id,
        amount=entry.amount,
        status="pending" if entry.status in PENDING else "failed" if entry.status == "canceled" else entry.status,
        refund_policy=entry.policy or "manual_refund",
        original_amount=payment.captures[entry.payment_intent].amount,
        refunded_at=optional_iso(entry.settled_at),
    )
    return http_api.json_response(status or (200 if entry.status in SETTLED else 202), body)
