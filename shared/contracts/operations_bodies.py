"""Answers of the operators' routes (docs/integration.md)."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import StringConstraints

from shared.contracts.http_bodies import AttemptStatusResponse, RefundStatusResponse
from shared.contracts.states import Contract
from shared.domain.audit_entries import AuditAction
from shared.domain.booking import EndReason
from shared.domain.matter_kinds import MatterKind
from shared.domain.matters import KINDS
from shared.domain.models import Awaiting, CaptureRole, Matter, PaymentStatus, RefundState, iso, optional_iso
from shared.domain.refund_policy import RefundPolicy


class MatterRecord(Contract):
    """Something that needs a person; `page` is its section of docs/operations.md, `detail` says more in words."""

    kind: MatterKind
    subject: str | None = None
    since: str
    amount: int | None = None
    deadline: str | None = None
    detail: str | None = None
    page: str
    closable: bool


def matter_records(matters: Iterable[Matter]) -> list[MatterRecord]:
    """The matters of a payment, oldest first."""
    return [
        MatterRecord(
            kind=matter.kind,
            subject=matter.subject,
            since=iso(matter.since),
            amount=matter.amount,
            deadline=optional_iso(matter.deadline),
            detail=matter.detail,
            page=KINDS[matter.kind].page,
            closable=KINDS[matter.kind].closable,
        )
        for matter in sorted(matters, key=lambda matter: matter.since)
    ]


class CloseMatterRequest(Contract):
    """POST /payments/{id}/attention/{kind}/close; without `subject` it closes all matters of the kind."""

    note: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
    subject: str | None = None


class AuditRecord(Contract):
    """A change of money, booking or attempts, and who made it; `subject` is the refund, dispute, attempt or charge."""

    at: str
    actor: str
    action: AuditAction
    subject: str | None = None
    amount: int | None = None
    reason: str | None = None
    correlation_id: str


class PaymentRow(Contract):
    reservation_id: str
    payment_id: str
    status: PaymentStatus
    reservation_status: str | None = None
    amount: int | None = None
    refund_amount: int
    attention: list[MatterRecord]
    created_at: str
    updated_at: str


class PaymentListResponse(Contract):
    """GET /payments, newest first. With `cursor` there may be more, even after a page without a row."""

    payments: list[PaymentRow]
    cursor: str | None = None


class DayFigures(Contract):
    """The payments that were started on a day, as they are now; amounts in cents."""

    day: str
    started: int = 0
    waiting: int = 0
    failed_attempts: int = 0
    paid: int = 0
    paid_amount: int = 0
    released: int = 0
    refunded: int = 0
    refunded_amount: int = 0
    disputed: int = 0
    disputed_amount: int = 0


class EndingHold(Contract):
    """An unpaid booking whose dates are held for two more hours at most."""

    reservation_id: str
    amount: int | None = None
    hold_expires_at: str


class PaymentsByDayResponse(Contract):
    """GET /payments-by-day: today is the last day, and the first hold the next to end."""

    days: list[DayFigures]
    holds_ending: list[EndingHold]


class AttemptRecord(AttemptStatusResponse):
    amount: int
    stripe_checkout_session_id: str | None = None
    deadline: str
    close_reason: str | None = None


class FraudWarningRecord(Contract):
    id: str
    fraud_type: str
    warned_at: str


class CaptureRecord(Contract):
    payment_intent: str
    charge: str | None = None
    amount: int
    currency: str
    refundable: int
    role: CaptureRole | None = None
    captured_at: str
    fraud_warning: FraudWarningRecord | None = None


class RefundRecord(RefundStatusResponse):
    payment_intent: str
    stripe_refund_id: str | None = None
    requested_by: str | None = None
    policy: str | None = None
    failure_reason: str | None = None
    note: str | None = None
    awaiting: Literal["settlement", "operator"] | None = None


class DisputeRecord(Contract):
    dispute_id: str
    payment_intent: str
    status: str
    amount: int
    reason: str | None = None
    opened_at: str
    due_by: str | None = None
    escalated_by: str | None = None
    closed_at: str | None = None


class ExecutionRecord(Contract):
    """An execution that the booking has had; Step Functions forgets it 90 days after it closed."""

    name: str
    workflow: Literal["payment", "refund"]


class PaymentRecordResponse(Contract):
    """GET /payments/{id}: everything known about a booking's payment, for operators."""

    reservation_id: str
    payment_id: str
    status: PaymentStatus
    reservation_status: str
    customer_id: str | None = None
    check_in: str | None = None
    check_out: str | None = None
    amount: int | None = None
    refund_amount: int
    refund_pending_amount: int
    refund_state: RefundState
    hold_expires_at: str
    end_reason: EndReason | None = None
    refund_policy: RefundPolicy | None = None
    awaiting: Awaiting | None = None
    error_message: str | None = None
    cancel_requested_by: str | None = None
    restarts: int
    attention: list[MatterRecord]
    attempts: list[AttemptRecord]
    captures: list[CaptureRecord]
    refunds: list[RefundRecord]
    disputes: list[DisputeRecord]
    executions: list[ExecutionRecord]
    audit: list[AuditRecord]
    created_at: str
    updated_at: str


class StateRecord(Contract):
    """One visit of a state; `retries` are the attempts after the first. Without `exited_at` the execution is there."""

    state: str
    type: str
    entered_at: str
    exited_at: str | None = None
    retries: int = 0
    error: str | None = None
    cause: str | None = None


class ExecutionResponse(Contract):
    """GET /payments/{id}/executions/{name}: where an execution was and is; never its data or tokens."""

    name: str
    workflow: Literal["payment", "refund"]
    status: str
    started_at: str
    stopped_at: str | None = None
    error: str | None = None
    cause: str | None = None
    waits_in: str | None = None
    states: list[StateRecord]
