"""Routes for operators: resolve a refund that failed, and grant another attempt to pay.

Changes: records the operator's answer and note, and resumes the refund's wait; counts up the granted attempts.
Safe to run twice: a token resumes one wait only. Each call that grants an attempt grants one.
"""

from datetime import UTC, datetime

from aws_lambda_powertools.event_handler import Response

from lambdas.payments_api import polling
from lambdas.payments_api.eligibility import check_payable
from lambdas.payments_api.refunds import refund_response
from lambdas.payments_api.router import router
from lambdas.payments_api.status import payment_status
from shared.adapters import payment_items, refund_ledger, step_functions
from shared.contracts.http_bodies import EmptyRequest, ResolutionRequest
from shared.domain.api_errors import ApiError
from shared.domain.models import SETTLED, Payment
from shared.observability import bind
from shared.services import http_api


@router.post("/payments/<payment_or_reservation_id>/refunds/<refund_id>/resolution")
def resolve_refund(payment_or_reservation_id: str, refund_id: str) -> Response[str]:
    """Decide about a refund that failed and waits for an operator: try it again, or record that it was settled."""
    caller = http_api.identify_caller()
    http_api.require_operator(caller)
    reservation_id = http_api.parse_reservation_id(payment_or_reservation_id)
    request = http_api.parse_body(ResolutionRequest)
    bind(refund_id=refund_id)
    _, payment = http_api.find_booking(reservation_id, caller)
    entry = None if payment is None else payment.refunds.get(refund_id)
    if payment is None or entry is None:
        raise ApiError("NOT_FOUND", "refund")
    token = entry.task_token
    if entry.awaiting != "operator" or token is None or entry.status in SETTLED:
        raise ApiError("NOTHING_TO_RESOLVE")
    now = datetime.now(UTC)
    recorded = refund_ledger.record_answer(
        payment.payment_id, refund_id, token=token, answer=request.answer, note=request.note, by=caller.name, now=now
    )
    if not (recorded and step_functions.signal(token, request.answer)):
        payment_items.mark_due(payment, now=now)
        raise ApiError("NOTHING_TO_RESOLVE")

    def read() -> Payment:
        return payment_items.read_payment(payment.payment_id) or payment

    def progressed(payment: Payment) -> bool:
        entry = payment.refunds[refund_id]
        return entry.status in SETTLED or entry.task_token not in {token, None}

    after = polling.poll(read, until=progressed)
    return refund_response(after, refund_id, status=200)  # the decision was accepted, whatever came of it


@router.post("/payments/<payment_or_reservation_id>/attempts")
def grant_attempt(payment_or_reservation_id: str) -> Response[str]:
    """Grant one more attempt to pay."""
    caller = http_api.identify_caller()
    http_api.require_operator(caller)
    reservation_id = http_api.parse_reservation_id(payment_or_reservation_id)
    http_api.parse_body(EmptyRequest)
    reservation, payment = http_api.find_booking(reservation_id, caller)
    if payment is None:
        raise ApiError("NOT_FOUND")
    check_payable(reservation, payment)
    if not payment_items.grant_attempt(payment.payment_id, now=datetime.now(UTC)):
        raise ApiError("RESERVATION_NOT_PAYABLE")
    return http_api.json_response(
        200, payment_status(*http_api.find_booking(reservation_id, caller), datetime.now(UTC))
    )
