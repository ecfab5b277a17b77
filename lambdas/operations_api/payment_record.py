"""GET /payments/{id}: everything known about a booking's payment."""

from collections.abc import Iterator

from aws_lambda_powertools.event_handler import Response

from lambdas.operations_api.operations_router import router
from shared.adapters.audit import read_audit
from shared.adapters.step_functions import Workflow, execution_name, payment_execution_name
from shared.contracts.operations_bodies import (
    AttemptRecord,
    AuditRecord,
    CaptureRecord,
    DisputeRecord,
    ExecutionRecord,
    FraudWarningRecord,
    PaymentRecordResponse,
    RefundRecord,
    matter_records,
)
from shared.domain.api_errors import ApiError
from shared.domain.booking import Reservation, end_reason
from shared.domain.ledger import refund_state
from shared.domain.models import FraudWarning, Payment, iso, optional_iso
from shared.services import http_api


@router.get("/payments/<payment_or_reservation_id>")
def read_record(payment_or_reservation_id: str) -> Response[str]:
    return http_api.json_response(200, record(*find_payment(payment_or_reservation_id)))


def find_payment(payment_or_reservation_id: str) -> tuple[Reservation | None, Payment]:
    """The payment and, if the platform has not deleted it, its reservation; for operators only.

    What is known about money, and what needs a person, outlasts the reservation. Raises FORBIDDEN, NOT_FOUND,
    RESERVATION_INVALID.
    """
    caller = http_api.identify_caller()
    http_api.require_operator(caller)
    reservation, payment = http_api.read_booking(http_api.parse_reservation_id(payment_or_reservation_id), caller)
    if payment is None:
        raise ApiError("NOT_FOUND")
    return reservation, payment


def executions_of(payment: Payment) -> Iterator[tuple[Workflow, str]]:
    """The workflow and name of each execution that the item knows of."""
    for restart in range(payment.restarts + 1):
        yield "payment", payment_execution_name(payment.reservation_id, restart)
    for refund_id, refund in payment.refunds.items():
        if refund.kind == "dashboard":
            continue
        newest = payment.replacements.get(refund_id)
        names = [execution_name(refund_id, restart) for restart in range(1 if newest is None else newest.number + 1)]
        # The execution of a refund that failed after it had succeeded has a name of its own.
        yield from (("refund", name) for name in dict.fromkeys([*names, refund.execution or refund_id]))


def record(reservation: Reservation | None, payment: Payment) -> PaymentRecordResponse:
    """All that is known about a payment."""
    return PaymentRecordResponse(
        reservation_id=payment.reservation_id,
        payment_id=payment.payment_id,
        status=payment.status,
        reservation_status="deleted" if reservation is None else reservation.status,
        customer_id=payment.customer_id if reservation is None else reservation.customer_id,
        check_in=payment.check_in if reservation is None else reservation.check_in.isoformat(),
        check_out=payment.check_out if reservation is None else reservation.check_out.isoformat(),
        amount=payment.amount,
        refund_amount=payment.refund_amount,
        refund_pending_amount=payment.refund_pending_amount,
        refund_state=refund_state(payment),
        hold_expires_at=iso(payment.hold_expires_at),
        end_reason=end_reason(reservation, payment),
        refund_policy=payment.refund_policy,
        awaiting=payment.awaiting,
        error_message=payment.error_message,
        cancel_requested_by=payment.cancel_requested_by,
        restarts=payment.restarts,
        attention=matter_records(payment.attention.values()),
        attempts=[
            AttemptRecord.of(
                key,
                attempt,
                amount=attempt.amount,
                stripe_checkout_session_id=attempt.stripe_checkout_session_id,
                deadline=iso(attempt.deadline),
                close_reason=attempt.close_reason,
            )
            for key, attempt in payment.attempts_in_order
        ],
        captures=[
            CaptureRecord(
                payment_intent=pi,
                charge=capture.charge,
                amount=capture.amount,
                currency=capture.currency,
                refundable=capture.refundable,
                role=capture.role,
                captured_at=iso(capture.captured_at),
                fraud_warning=_fraud_warning(capture.fraud_warning),
            )
            for pi, capture in sorted(payment.captures.items(), key=lambda entry: entry[1].captured_at)
        ],
        refunds=[
            RefundRecord.of(
                refund_id,
                refund,
                reason=refund.reason,
                payment_intent=refund.payment_intent,
                stripe_refund_id=refund.stripe_refund_id,
                requested_by=refund.requested_by,
                policy=refund.policy,
                failure_reason=refund.failure_reason,
                note=refund.note,
                awaiting=refund.awaiting,
            )
            for refund_id, refund in payment.refunds_in_order
        ],
        disputes=[
            DisputeRecord(
                dispute_id=dispute_id,
                payment_intent=dispute.payment_intent,
                status=dispute.status,
                amount=dispute.amount,
                reason=dispute.reason,
                opened_at=iso(dispute.opened_at),
                due_by=optional_iso(dispute.due_by),
                escalated_by=dispute.escalated_by,
                closed_at=optional_iso(dispute.closed_at),
            )
            for dispute_id, dispute in sorted(payment.disputes.items(), key=lambda entry: entry[1].opened_at)
        ],
        executions=[ExecutionRecord(name=name, workflow=workflow) for workflow, name in executions_of(payment)],
        audit=[
            AuditRecord(**entry.model_dump(exclude={"at"}), at=iso(entry.at))
            for entry in read_audit(payment.payment_id)
        ],
        created_at=iso(payment.created_at),
        updated_at=iso(payment.updated_at),
    )


def _fraud_warning(warning: FraudWarning | None) -> FraudWarningRecord | None:
    if warning is None:
        return None
    return FraudWarningRecord(id=warning.id, fraud_type=warning.fraud_type, warned_at=iso(warning.warned_at))
