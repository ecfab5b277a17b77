"""Reading a whole booking, and every transaction that spans more than one table."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from shared.adapters.dynamodb import UpdateBuilder, batch_get, query_index, serialize, transact
from shared.adapters.refund_ledger import enter_refund, write_totals
from shared.domain.ids import payment_id_of
from shared.domain.models import Booking, Capture, Payment, Refund, Reservation, iso, to_item
from shared.settings import settings


def read_reservation(reservation_id: str) -> Reservation | None:
    """The reservation, or None."""
    return read_booking_items(reservation_id)[0]


def read_booking_items(reservation_id: str) -> tuple[Reservation | None, Payment | None]:
    """Reservation and payment in one request, each None where there is none."""
    found = batch_get(
        {
            settings().reservations_table: [{"reservation_id": reservation_id}],
            settings().payments_table: [{"payment_id": payment_id_of(reservation_id)}],
        }
    )
    reservations, payments = found[settings().reservations_table], found[settings().payments_table]
    return (
        Reservation.model_validate(reservations[0]) if reservations else None,
        Payment.model_validate(payments[0]) if payments else None,
    )


def read_booking(reservation_id: str) -> Booking:
    """Reservation, payment and which nights are still the reservation's: two requests.

    Raises LookupError where there is no such reservation.
    """
    reservation, payment = read_booking_items(reservation_id)
    if reservation is None:
        raise LookupError(f"no reservation {reservation_id}")
    table = settings().availability_table
    nights = batch_get({table: [{"date": night} for night in reservation.nights]})[table]
    held = frozenset(
        night["date"]
        for night in nights
        if night.get("reservation_id") == reservation_id and night.get("status") == "booked"
    )
    return Booking(reservation=reservation, payment=payment, held=held)


def reserve_refund(
    booking: Booking, refund_id: str, refund: Refund, *, capture: Capture | None, cancel_stay: bool, now: datetime
) -> bool:
    """Enter a refund and set its amount aside, in one transaction; False when something changed meanwhile.

    `capture` is given for an unapplied one: it is recorded if nobody has, and takes that role. `cancel_stay` ends the
    confirmed reservation and frees its nights with it, before money moves.
    """
    payment, reservation = payment_of(booking), booking.reservation
    pi = refund.payment_intent
    changes = UpdateBuilder()
    if capture is None or pi in payment.captures:
        known = payment.captures[pi]
        changes.set(f"captures.{pi}.refundable", known.refundable - refund.amount)
        changes.require("{} = {}", f"captures.{pi}.refundable", value=known.refundable)
        if capture is not None and known.role is None:
            changes.set(f"captures.{pi}.role", "unapplied")
            changes.require("attribute_not_exists({})", f"captures.{pi}.role")
    else:
        unapplied = capture.model_copy(update={"role": "unapplied", "refundable": capture.refundable - refund.amount})
        changes.set(f"captures.{pi}", to_item(unapplied))
        changes.default("stripe_payment_intent_id", pi)
        changes.require("attribute_not_exists({})", f"captures.{pi}")
    changes.require("attribute_not_exists({})", f"refunds.{refund_id}")
    enter_refund(changes, payment, refund_id, refund, now)
    operations = [_payment_update(payment, changes)]
    if cancel_stay:
        cancelled = UpdateBuilder()
        cancelled.set("status", "cancelled")
        cancelled.require("{} = {}", "status", value="confirmed")
        operations.append(_reservation_update(reservation, cancelled))
        operations += [_night_release(night, reservation) for night in sorted(booking.held)]
    return transact(operations)


def reservations_in(status: str) -> Iterator[str]:
    """The ids of reservations in this status."""
    return query_index(
        settings().reservations_table,
        "status-index",
        key="reservation_id",
        condition="#status = :status",
        values={":status": status},
    )


def confirm_reservation(booking: Booking, pi: str, capture: Capture, *, now: datetime) -> bool:
    """Give the capture and the booking to each other, in one transaction; False when its conditions did not hold.

    Raises StoreBusy when it was in conflict, throttled, or not answered: then it may have happened.
    """
    reservation, payment = booking.reservation, payment_of(booking)
    confirmed = UpdateBuilder()
    confirmed.set("status", "confirmed")
    confirmed.set("payment_status", "completed")
    confirmed.set("payment_id", payment.payment_id)
    confirmed.require("{} = {}", "status", value="pending")
    confirmed.require("{} = {}", "total_amount", value=capture.amount)

    # Refunds of other captures do not count any more, now that the booking has its own.
    own = capture.model_copy(update={"role": "booking"})
    after = payment.model_copy(update={"status": "completed", "captures": {**payment.captures, pi: own}})
    completed = UpdateBuilder()
    write_totals(completed, payment, after)
    completed.set(f"captures.{pi}.role", "booking")
    completed.set("amount", capture.amount)
    completed.set("currency", capture.currency)
    completed.set("stripe_payment_intent_id", pi)
    completed.set("provider", "stripe")
    completed.set("provider_transaction_id", pi)
    completed.set("payment_method", "card")
    if capture.charge is not None:
        completed.set("stripe_charge_id", capture.charge)
    completed.set("completed_at", iso(now))
    completed.set("updated_at", iso(now))
    for name in ("task_token", "awaiting", "error_message"):
        completed.remove(name)
    completed.require("attribute_not_exists({})", "cancel_requested_at")
    completed.require("attribute_exists({})", f"captures.{pi}")
    completed.require("attribute_not_exists({})", f"captures.{pi}.role")
    completed.require("{} = {}", f"captures.{pi}.amount", value=capture.amount)

    return transact(
        [
            _reservation_update(reservation, confirmed),
            _payment_update(payment, completed),
            *[{"ConditionCheck": _night_check(night, reservation)} for night in reservation.nights],
        ]
    )


def release_hold(booking: Booking, *, status: str, now: datetime) -> bool:
    """Give up the booking in one transaction; False when something changed meanwhile.

    The reservation goes from `pending` to `status` (another one stays as it is), the nights held are available again,
    the payment is `expired`.
    """
    reservation, payment = booking.reservation, payment_of(booking)
    expired = UpdateBuilder()
    expired.set("status", "expired")
    expired.set("updated_at", iso(now))
    for name in ("task_token", "awaiting"):
        expired.remove(name)
    expired.require("{} = {}", "status", value="pending")
    operations = [_payment_update(payment, expired)]
    if reservation.status == "pending":
        restarts_exhausted = UpdateBuilder()
        restarts_exhausted.set("status", status)
        restarts_exhausted.require("{} = {}", "status", value="pending")
        operations.append(_reservation_update(reservation, restarts_exhausted))
    else:
        operations.append({"ConditionCheck": _still(reservation)})
    return transact(operations + [_night_release(night, reservation) for night in sorted(booking.held)])


def payment_of(booking: Booking) -> Payment:
    if booking.payment is None:
        raise LookupError(f"no payment item for reservation {booking.reservation.reservation_id}")
    return booking.payment


def _night_check(night: str, reservation: Reservation) -> dict[str, Any]:
    check = UpdateBuilder()
    check.require("{} = {}", "reservation_id", value=reservation.reservation_id)
    check.require("{} = {}", "status", value="booked")
    return {"TableName": settings().availability_table, "Key": serialize({"date": night}), **check.condition()}


def _night_release(night: str, reservation: Reservation) -> dict[str, Any]:
    free = UpdateBuilder()
    free.set("status", "available")
    free.remove("reservation_id")
    free.require("{} = {}", "reservation_id", value=reservation.reservation_id)
    return {
        "Update": {"TableName": settings().availability_table, "Key": serialize({"date": night}), **free.expression()}
    }


def _still(reservation: Reservation) -> dict[str, Any]:
    check = UpdateBuilder()
    check.require("{} = {}", "status", value=reservation.status)
    return {
        "TableName": settings().reservations_table,
        "Key": serialize({"reservation_id": reservation.reservation_id}),
        **check.condition(),
    }


def _reservation_update(reservation: Reservation, changes: "UpdateBuilder") -> dict[str, Any]:
    return {
        "Update": {
            "TableName": settings().reservations_table,
            "Key": serialize({"reservation_id": reservation.reservation_id}),
            **changes.expression(),
        }
    }


def _payment_update(payment: Payment, changes: "UpdateBuilder") -> dict[str, Any]:
    return {
        "Update": {
            "TableName": settings().payments_table,
            "Key": serialize({"payment_id": payment.payment_id}),
            **changes.expression(),
        }
    }
