"""The entries of the audit trail as frozen values."""

from typing import Literal

from shared.domain.models import Instant, Value

AuditAction = Literal[
    "cancel_requested",
    "attempt_granted",
    "attempt_closed",
    "booking_confirmed",
    "hold_released",
    "booking_cancelled",
    "booking_recovered",
    "refund_requested",
    "refund_succeeded",
    "refund_failed",
    "refund_settled_elsewhere",
    "refund_answered",
    "dashboard_refund_recorded",
    "dispute_recorded",
    "fraud_warning_recorded",
    "matter_closed",
    "operators_notified",
]


class AuditEntry(Value):
    """One change of money, booking or attempts, and who made it: `operator:{sub}`, `stripe:{event}` and so on."""

    at: Instant
    actor: str
    action: AuditAction
    subject: str | None = None
    amount: int | None = None
    reason: str | None = None
    correlation_id: str
