"""Writing a rebuilt booking in one transaction, under the condition that nothing has changed since it was read."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from scripts.recovery.booking_facts import Rebuilt
from shared.adapters.attention import write_attention
from shared.adapters.audit import audit_operation
from shared.adapters.bookings import copies
from shared.adapters.dynamodb import UpdateBuilder, check_operation, put_operation, to_item, transact, update_operation
from shared.adapters.ledger_days import ledger_day_operations
from shared.adapters.payment_items import payment_operation
from shared.adapters.pointers import Pointer, pointer_operation
from shared.domain.booking import Booking
from shared.domain.due import due_shard
from shared.domain.ledger_matching import final_entries
from shared.domain.matters import open_matters
from shared.domain.models import Payment, iso
from shared.settings import settings

# What is written by other functions, or follows from the rest.
APART = {"payment_id", "attention", "attention_since", "due_at", "due_shard", "notified", "task_token", "awaiting"}
MAPS = {"attempts", "captures", "refunds", "replacements"}


def write(booking: Booking, rebuilt: Rebuilt, *, now: datetime) -> bool:
    """Write what was rebuilt, and make the payment due; False if the booking has changed since it was read."""
    payment = rebuilt.payment
    return transact(
        [
            _payment_operation(booking.payment, payment, now),
            *_pointers(booking.payment, payment),
            *_reservation_operations(booking, rebuilt),
            # Their days are reconciled with Stripe again.
            *ledger_day_operations(payment.payment_id, (entry.at for entry in final_entries(payment)), now=now),
            audit_operation(payment.payment_id, "booking_recovered", now=now, reason="; ".join(rebuilt.changes)),
        ]
    )


def _payment_operation(before: Payment | None, after: Payment, now: datetime) -> dict[str, Any]:
    if before is None:
        matters = open_matters(after, now)
        attention = {"attention": matters, "attention_since": now} if matters else {}
        due = {"due_at": now, "due_shard": due_shard(after.payment_id)}
        item = to_item(after.model_copy(update={**due, **attention})) | _copies(before, after)
        return put_operation(settings().payments_table, item, key="payment_id")
    update = UpdateBuilder().set_all(due_at=iso(now), due_shard=due_shard(after.payment_id))
    old, new = to_item(before), _copies(before, after) | to_item(after)
    update.require("status", before.status).require("updated_at", old["updated_at"])
    for name in sorted((old.keys() | new.keys()) - APART - MAPS):
        if name not in new:
            update.remove(name)
        elif new[name] != old.get(name):
            update.set(name, new[name])
    for name in sorted(MAPS):
        _write_map(update, name, getattr(before, name), getattr(after, name))
    if after.status != "pending":
        update.remove("task_token", "awaiting")
    write_attention(update, before, after, now=now)
    return payment_operation(after.payment_id, update)


def _write_map(
    update: UpdateBuilder, name: str, before: Mapping[str, BaseModel], after: Mapping[str, BaseModel]
) -> None:
    """Write the entries that are new or differ, and remove those that are gone, since others write their own."""
    update.remove(*(f"{name}.{key}" for key in sorted(before.keys() - after.keys())))
    for key in sorted(after):
        if key not in before:
            update.set(f"{name}.{key}", to_item(after[key])).require_missing(f"{name}.{key}")
        elif after[key] != before[key]:
            update.set_changed(f"{name}.{key}", before[key], after[key])


def _copies(before: Payment | None, after: Payment) -> dict[str, str]:
    """What a confirmation and a refund copy for readers."""
    found: dict[str, str] = {}
    if after.own_capture is not None and (before is None or before.own_capture is None):
        found |= copies(*after.own_capture)
    known = {} if before is None else before.refunds
    for refund_id, entry in after.refunds.items():
        if entry.stripe_refund_id is not None and refund_id not in known:
            found["stripe_refund_id"] = entry.stripe_refund_id
    return found


def _pointers(before: Payment | None, after: Payment) -> Iterator[dict[str, Any]]:
    for pi, capture in after.captures.items():
        key = after.attempt_of(capture.session)
        if key is not None and (before is None or pi not in before.captures):
            yield pointer_operation(pi, Pointer(after.payment_id, key))


def _reservation_operations(booking: Booking, rebuilt: Rebuilt) -> Iterator[dict[str, Any]]:
    """The reservation's new status and what becomes of its nights; nothing where its status stays."""
    reservation, status = booking.reservation, rebuilt.reservation_status
    if status is None:
        return
    tables = settings()
    update = UpdateBuilder().set_all(status=status, payment_id=rebuilt.payment.payment_id, payment_status="completed")
    update.require("status", reservation.status)
    yield update_operation(tables.reservations_table, {"reservation_id": reservation.reservation_id}, update)
    for night in sorted(booking.held):
        held = UpdateBuilder().require("reservation_id", reservation.reservation_id)
        if status == "cancelled":
            held.set("status", "available").remove("reservation_id")
            yield update_operation(tables.availability_table, {"date": night}, held)
        else:
            held.require("status", "booked")
            yield check_operation(tables.availability_table, {"date": night}, held)
