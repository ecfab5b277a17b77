"""Refunds and disputes on the payment item.

The totals are written with every change, under the condition that the ledger is unchanged since it was read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from shared.adapters.attention import write_attention
from shared.adapters.audit import audit_operation
from shared.adapters.dynamodb import UpdateBuilder, to_item
from shared.adapters.ledger_days import ledger_day_operations
from shared.adapters.payment_items import update_payment, write_due
from shared.domain.audit_entries import AuditAction
from shared.domain.ledger import ledger
from shared.domain.models import Capture, Dispute, FraudWarning, Payment, PaymentStatus, Refund, RefundReason, iso


def record_refund_reason(payment: Payment, refund_id: str, reason: RefundReason) -> bool:
    """Store what a person wrote about a refund, since an execution's input must not hold it.

    It takes the place of what was written about a request that led to no refund; False if the refund is reserved.
    """
    update = UpdateBuilder().set(f"refund_reasons.{refund_id}", to_item(reason))
    return update_payment(payment.payment_id, update.require_missing(f"refunds.{refund_id}"))


def mark_unapplied(payment: Payment, pi: str, capture: Capture) -> bool:
    """Mark a recorded capture of which nothing is left to refund as unapplied; False if it changed meanwhile."""
    update = UpdateBuilder().set(f"captures.{pi}.role", "unapplied")
    update.require(f"captures.{pi}.refundable", capture.refundable)
    update.require_missing_or(f"captures.{pi}.role", "unapplied")
    return update_payment(payment.payment_id, update)


def update_refund(payment: Payment, refund_id: str, refund: Refund, *, now: datetime) -> bool:
    """Replace an entry of the ledger; False if the ledger changed since it was read."""
    update = UpdateBuilder()
    _require_entry(update, payment.refunds[refund_id], refund_id)
    enter_refunds(update, payment, {refund_id: refund}, now)
    action = _ACTIONS.get(refund.status)
    if action is None or refund.status == payment.refunds[refund_id].status:
        return update_payment(payment.payment_id, update)
    entry = _entry(payment, action, refund_id, refund, now)
    return update_payment(payment.payment_id, update, entry, *_days(payment, [refund], now))


_ACTIONS: Mapping[str, AuditAction] = {
    "succeeded": "refund_succeeded",
    "failed": "refund_failed",
    "settled_elsewhere": "refund_settled_elsewhere",
}


def _days(payment: Payment, refunds: Iterable[Refund], now: datetime) -> list[dict[str, Any]]:
    """The days on which these refunds moved money, as far as they are settled."""
    settled = [refund.settled_at for refund in refunds if refund.settled_at is not None]
    return ledger_day_operations(payment.payment_id, settled, now=now)


def _entry(payment: Payment, action: AuditAction, refund_id: str, refund: Refund, now: datetime) -> dict[str, Any]:
    return audit_operation(
        payment.payment_id,
        action,
        now=now,
        subject=refund_id,
        amount=refund.amount,
        reason=refund.failure_reason or (refund.status if refund.kind == "dashboard" else None),
    )


def record_dashboard_refund(
    payment: Payment, refund_id: str, refundable: int, changed: Mapping[str, Refund], *, now: datetime
) -> bool:
    """Enter or update a refund that was made in Stripe's dashboard; False if the ledger changed since it was read.

    `refundable` and `changed` are the results of `enter_dashboard_refund`.
    """
    pi = changed[refund_id].payment_intent
    update = UpdateBuilder()
    for entry_id in changed:
        if entry_id in payment.refunds:
            _require_entry(update, payment.refunds[entry_id], entry_id)
        else:
            update.require_missing(f"refunds.{entry_id}")
    update.set(f"captures.{pi}.refundable", refundable)
    update.require(f"captures.{pi}.refundable", payment.captures[pi].refundable)
    enter_refunds(update, payment, changed, now)
    entries = [_entry(payment, "dashboard_refund_recorded", refund_id, changed[refund_id], now)]
    entries += [
        _entry(payment, "refund_settled_elsewhere", entry_id, entry, now)
        for entry_id, entry in changed.items()
        if entry_id != refund_id and entry.status != payment.refunds[entry_id].status
    ]
    return update_payment(payment.payment_id, update, *entries, *_days(payment, [changed[refund_id]], now))


def _require_entry(update: UpdateBuilder, refund: Refund, refund_id: str) -> None:
    update.require(f"refunds.{refund_id}.status", refund.status)
    update.require(f"refunds.{refund_id}.amount", refund.amount)
    update.require(f"refunds.{refund_id}.try", refund.attempt)


def enter_refunds(update: UpdateBuilder, payment: Payment, refunds: Mapping[str, Refund], now: datetime) -> None:
    """Add entries and the totals that follow from them to an update of the payment item."""
    after = payment.model_copy(update={"refunds": {**payment.refunds, **refunds}})
    status = write_totals(update, payment, after)
    for refund_id, refund in refunds.items():
        before = payment.refunds.get(refund_id)
        if before is None:
            update.set(f"refunds.{refund_id}", to_item(refund))
        else:
            update.set_changed(f"refunds.{refund_id}", before, refund)
    stripe_refund_id = next(iter(refunds.values())).stripe_refund_id
    if stripe_refund_id is not None:
        update.set("stripe_refund_id", stripe_refund_id)
    if not any(entry.unsettled for entry in after.refunds.values()):
        # The totals leave out refunds of unapplied payments: make sure that none was entered since the read.
        update.require_that("size({}) = {}", "refunds", value=len(payment.refunds))
    write_due(update, after.model_copy(update={"status": status, "updated_at": now}), now=now)
    write_attention(update, payment, after, now=now)
    if status == "refunded" and payment.status != "refunded":
        update.set("refunded_at", iso(now))
    if status != "refunded":
        update.remove("refunded_at")
    update.set("updated_at", iso(now))


def write_totals(update: UpdateBuilder, before: Payment, after: Payment) -> PaymentStatus:
    """Add the totals after a change to an update, under the condition that they are as read; return the new status."""
    totals = ledger(after)
    for name in ("refund_amount", "refund_pending_amount"):
        amount = getattr(before, name)
        if amount:
            update.require(name, amount)
        else:
            update.require_missing_or(name, 0)
    update.require("status", before.status)
    update.set_all(**asdict(totals))
    return totals.status


def request_refund_check(payment_id: str, refund_id: str, *, now: datetime) -> bool:
    """Record that Stripe has news of a pending refund, so that a wait that is about to start is skipped."""
    update = UpdateBuilder().set(f"refunds.{refund_id}.check_requested_at", iso(now))
    update.require_exists(f"refunds.{refund_id}")
    return update_payment(payment_id, update)


def clear_refund_check(payment_id: str, refund_id: str) -> bool:
    """Clear that record before Stripe is asked; later news sets it again."""
    update = UpdateBuilder().remove(f"refunds.{refund_id}.check_requested_at")
    update.require_exists(f"refunds.{refund_id}")
    return update_payment(payment_id, update)


def record_answer(
    payment_id: str, refund_id: str, *, token: str, answer: str, note: str | None, by: str, now: datetime
) -> bool:
    """Store an operator's answer to a failed refund; False if it no longer waits with this token."""
    update = UpdateBuilder().set(f"refunds.{refund_id}.answered_by", by)
    if note is not None:
        update.set(f"refunds.{refund_id}.note", note)
    update.require(f"refunds.{refund_id}.task_token", token)
    reason = answer if note is None else f"{answer}: {note}"
    entry = audit_operation(payment_id, "refund_answered", now=now, subject=refund_id, reason=reason)
    return update_payment(payment_id, update, entry)


def record_fraud_warning(payment: Payment, pi: str, warning: FraudWarning, *, now: datetime) -> bool:
    """Enter a fraud warning on its capture; False if there is one."""
    path = f"captures.{pi}.fraud_warning"
    update = UpdateBuilder().set(path, to_item(warning)).set("updated_at", iso(now))
    update.require_exists(f"captures.{pi}").require_missing(path)
    entry = audit_operation(
        payment.payment_id,
        "fraud_warning_recorded",
        now=now,
        subject=pi,
        amount=payment.captures[pi].amount,
        reason=warning.fraud_type,
    )
    return update_payment(payment.payment_id, update, entry)


def record_dispute(payment: Payment, dispute_id: str, dispute: Dispute, *, now: datetime) -> bool:
    """Enter or update a dispute; False if it changed since it was read."""
    before = payment.disputes.get(dispute_id)
    update = UpdateBuilder().set(f"disputes.{dispute_id}", to_item(dispute)).set("updated_at", iso(now))
    if before is None:
        update.require_missing(f"disputes.{dispute_id}")
    else:
        update.require(f"disputes.{dispute_id}.status", before.status)
        if before.closed_at is None:
            update.require_missing(f"disputes.{dispute_id}.closed_at")
    after = payment.model_copy(update={"disputes": {**payment.disputes, dispute_id: dispute}})
    write_attention(update, payment, after, now=now)
    if before is not None and before.status == dispute.status:
        return update_payment(payment.payment_id, update)
    entry = audit_operation(
        payment.payment_id,
        "dispute_recorded",
        now=now,
        subject=dispute_id,
        amount=dispute.amount,
        reason=dispute.status,
    )
    days = ledger_day_operations(payment.payment_id, [dispute.opened_at], now=now)
    return update_payment(payment.payment_id, update, entry, *days)
