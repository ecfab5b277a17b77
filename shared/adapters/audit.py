"""The audit trail: who changed what about a payment, when and why. Entries are added, never changed.

An entry is one operation of the transaction that makes the change, so there is no change without its entry.
"""

from datetime import datetime
from typing import Any
from uuid import uuid4

from shared.adapters.dynamodb import put_operation, transact
from shared.adapters.queries import query_items
from shared.domain.audit_entries import AuditAction, AuditEntry
from shared.domain.models import iso
from shared.observability import actor
from shared.settings import settings


def audit_operation(
    payment_id: str,
    action: AuditAction,
    *,
    now: datetime,
    subject: str | None = None,
    amount: int | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """An entry as one operation of a transaction; `reason` is a person's text, or Stripe's word for why."""
    who = actor()
    entry = {
        "payment_id": payment_id,
        "at_id": f"{iso(now)}#{uuid4().hex}",
        "actor": who.name,
        "correlation_id": who.correlation_id,
        "action": action,
        "subject": subject,
        "amount": amount,
        "reason": reason,
    }
    stored = {name: value for name, value in entry.items() if value is not None}
    return put_operation(settings().audit_table, stored, key="payment_id")


def record_notification(payment_id: str, notification: str, *, now: datetime) -> None:
    """An entry for a notification that operators have been sent; nothing of the payment changes with it."""
    transact([audit_operation(payment_id, "operators_notified", now=now, subject=notification)])


def read_audit(payment_id: str) -> list[AuditEntry]:
    """The entries of a payment, oldest first."""
    found = query_items(settings().audit_table, {"payment_id": payment_id})
    return [AuditEntry.model_validate({**item, "at": item["at_id"].partition("#")[0]}) for item in found]
