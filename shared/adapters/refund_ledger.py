"""Refunds and disputes on the payment item.

The totals are written with every change, on condition that nobody has changed the ledger since it was read.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.adapters.dynamodb import UpdateBuilder, query_index, set_differences, update_payment_item
from shared.domain.ledger import ledger
from shared.domain.models import Capture, Dispute, Payment, PaymentStatus, Refund, iso, to_item
from shared.settings import settings

REFUNDING = "yes"  # the value of the attribute `refunding`, which is there only while a refund has not settled


def record_refund_reason(payment: Payment, refund_id: str, reason: str) -> bool:
    """Keep what a person wrote about a refund on the item, since an execution's input must not hold it."""
    changes = UpdateBuilder()
    changes.set(f"refund_reasons.{refund_id}", reason)
    changes.require("attribute_not_exists({})", f"refund_reasons.{refund_id}")
    return update_payment_item(payment.payment_id, changes)


def mark_unapplied(payment: Payment, pi: str, capture: Capture) -> bool:
    """Give a recorded capture its role though nothing of it is left to refund; False when it changed meanwhile."""
    changes = UpdateBuilder()
    changes.set(f"captures.{pi}.role", "unapplied")
    changes.require("{} = {}", f"captures.{pi}.refundable", value=capture.refundable)
    changes.require("attribute_not_exists({}) OR {} = {}", *[f"captures.{pi}.role"] * 2, value="unapplied")
    return update_payment_item(payment.payment_id, changes)


def update_refund(payment: Payment, refund_id: str, refund: Refund, *, now: datetime) -> bool:
    """Replace an entry of the ledger by what became of it; False when somebody else changed the ledger meanwhile."""
    changes = UpdateBuilder()
    _require_entry(changes, payment.refunds[refund_id], refund_id)
    enter_refund(changes, payment, refund_id, refund, now)
    return update_payment_item(payment.payment_id, changes)


def record_dashboard_refund(payment: Payment, refund_id: str, refund: Refund, *, now: datetime) -> bool:
    """Enter, or bring up to date, a refund that was made at Stripe without us; False as above.

    What it took is not refundable any more, what it failed to take is again.
    """
    before = payment.refunds.get(refund_id)
    pi = refund.payment_intent
    known = payment.captures[pi]
    change = _taken(before) - _taken(refund)
    changes = UpdateBuilder()
    if before is None:
        changes.require("attribute_not_exists({})", f"refunds.{refund_id}")
    else:
        _require_entry(changes, before, refund_id)
    changes.set(f"captures.{pi}.refundable", known.refundable + change)
    changes.require("{} = {}", f"captures.{pi}.refundable", value=known.refundable)
    enter_refund(changes, payment, refund_id, refund, now)
    return update_payment_item(payment.payment_id, changes)


def _taken(refund: Refund | None) -> int:
    return 0 if refund is None or refund.status in {"failed", "canceled"} else refund.amount


def _require_entry(changes: "UpdateBuilder", refund: Refund, refund_id: str) -> None:
    changes.require("{} = {}", f"refunds.{refund_id}.status", value=refund.status)
    changes.require("{} = {}", f"refunds.{refund_id}.try", value=refund.attempt)


def enter_refund(changes: "UpdateBuilder", payment: Payment, refund_id: str, refund: Refund, now: datetime) -> None:
    """Write the entry, and what the ledger adds up to with it."""
    after = payment.model_copy(update={"refunds": {**payment.refunds, refund_id: refund}})
    status = write_totals(changes, payment, after)
    before = payment.refunds.get(refund_id)
    if before is None:
        changes.set(f"refunds.{refund_id}", to_item(refund))
    else:
        set_differences(changes, f"refunds.{refund_id}", before, refund)
    if refund.stripe_refund_id is not None:
        changes.set("stripe_refund_id", refund.stripe_refund_id)
    if any(entry.unsettled for entry in after.refunds.values()):
        changes.set("refunding", REFUNDING)
    else:
        # An unapplied capture's refund shows in no sum: none may have been entered since the ledger was read.
        changes.require("size({}) = {}", "refunds", value=len(payment.refunds))
        changes.remove("refunding")
    if status == "refunded" and payment.status != "refunded":
        changes.set("refunded_at", iso(now))
    if status != "refunded":
        changes.remove("refunded_at")
    changes.set("updated_at", iso(now))


def write_totals(changes: "UpdateBuilder", before: Payment, after: Payment) -> PaymentStatus:
    """Write what the ledger adds up to afterwards, under the condition that it is as it was read; its status."""
    totals = ledger(after)
    for name, value in (
        ("refund_amount", before.refund_amount),
        ("refund_pending_amount", before.refund_pending_amount),
    ):
        if value:
            changes.require("{} = {}", name, value=value)
        else:
            changes.require("attribute_not_exists({}) OR {} = {}", name, name, value=0)
    changes.require("{} = {}", "status", value=before.status)
    changes.set("refund_amount", totals.refund_amount)
    changes.set("refund_pending_amount", totals.refund_pending_amount)
    changes.set("status", totals.status)
    return totals.status


def request_refund_check(payment_id: str, refund_id: str, *, now: datetime) -> bool:
    """Note on a pending refund that Stripe has news of it, so that a wait not yet stored is not begun either."""
    changes = UpdateBuilder()
    changes.set(f"refunds.{refund_id}.check_requested_at", iso(now))
    changes.require("attribute_exists({})", f"refunds.{refund_id}")
    return update_payment_item(payment_id, changes)


def clear_refund_check(payment_id: str, refund_id: str) -> bool:
    """Take the note off again, before Stripe is asked: news that comes later is noted anew."""
    changes = UpdateBuilder()
    changes.remove(f"refunds.{refund_id}.check_requested_at")
    changes.require("attribute_exists({})", f"refunds.{refund_id}")
    return update_payment_item(payment_id, changes)


def record_operator_note(payment_id: str, refund_id: str, *, token: str, note: str) -> bool:
    """Keep what the operator wrote about a failed refund; False when it does not wait with this token any more."""
    changes = UpdateBuilder()
    changes.set(f"refunds.{refund_id}.note", note)
    changes.require("{} = {}", f"refunds.{refund_id}.task_token", value=token)
    return update_payment_item(payment_id, changes)


def record_dispute(payment: Payment, dispute_id: str, dispute: Dispute, *, now: datetime) -> bool:
    """Enter a dispute, or what became of it; one that is closed is never opened again by an older event."""
    before = payment.disputes.get(dispute_id)
    changes = UpdateBuilder()
    changes.set(f"disputes.{dispute_id}", to_item(dispute))
    changes.set("updated_at", iso(now))
    if before is None:
        changes.require("attribute_not_exists({})", f"disputes.{dispute_id}")
    else:
        changes.require("{} = {}", f"disputes.{dispute_id}.status", value=before.status)
        changes.require("attribute_not_exists({})", f"disputes.{dispute_id}.closed_at")
    return update_payment_item(payment.payment_id, changes)


def payments_refunding() -> Iterator[str]:
    """The ids of payments with a refund that has not settled: a sparse index, so old bookings cost nothing."""
    return query_index(
        settings().payments_table,
        "refunding-index",
        key="payment_id",
        condition="refunding = :yes",
        values={":yes": REFUNDING},
    )
