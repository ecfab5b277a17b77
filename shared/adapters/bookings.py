"""Reading a whole booking, and every transaction that spans more than one table."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from shared.adapters.attention import write_attention
from shared.adapters.audit import audit_operation
from shared.adapters.dynamodb import UpdateBuilder, batch_get, check_operation, transact, update_operation
from shared.adapters.payment_items import payment_operation, write_due
from shared.adapters.queries import query_index
from shared.adapters.refund_ledger import enter_refunds, write_totals
from shared.contracts.field_errors import describe_errors
from shared.domain.booking import MAX_NIGHTS, Booking, Reservation, end_reason, payment_of
from shared.domain.due import DAILY
from shared.domain.errors import ReservationInvalid
from shared.domain.ids import payment_id_of
from shared.domain.models import Capture, Payment, Refund, iso
from shared.settings import settings


def read_booking_items(reservation_id: str) -> tuple[Reservation | None, Payment | None]:
    """Reservation and payment in one request, each None if it does not exist. Raises ReservationInvalid."""
    found = batch_get(
        {
            settings().reservations_table: [{"reservation_id": reservation_id}],
            settings().payments_table: [{"payment_id": payment_id_of(reservation_id)}],
        }
    )
    reservations, payments = found[settings().reservations_table], found[settings().payments_table]
    return (
        parse_reservation(reservations[0]) if reservations else None,
        Payment.model_validate(payments[0]) if payments else None,
    )


def parse_reservation(item: Mapping[str, Any]) -> Reservation:
    """The platform's item as a reservation of 1 to 90 nights. Raises ReservationInvalid."""
    try:
        reservation = Reservation.model_validate(item)
    except ValidationError as error:
        problems = describe_errors(error)
    else:
        if 1 <= (reservation.check_out - reservation.check_in).days <= MAX_NIGHTS:
            return reservation
        problems = {"check_out": f"Must be 1 to {MAX_NIGHTS} days after check_in."}
    raise ReservationInvalid(str(item.get("reservation_id")), problems, customer_id=item.get("customer_id"))


def read_booking(reservation_id: str, *, nights: bool = True) -> Booking:
    """Reservation, payment, and the nights that the reservation still holds, in two requests.

    Without `nights` it is one request, and all nights of an existing reservation count as held: for a caller after
    whom ConfirmReservation checks them in its transaction. A reservation that the platform deleted counts as
    cancelled. Raises ReservationInvalid, and LookupError if there is neither reservation nor payment.
    """
    reservation, payment = read_booking_items(reservation_id)
    if reservation is None:
        return _deleted(reservation_id, payment)
    held = _held_nights(reservation) if nights else frozenset(reservation.nights)
    return Booking(reservation=reservation, payment=payment, held=held)


def with_held_nights(booking: Booking) -> Booking:
    """A booking that was read without its nights, with those that it still holds."""
    return booking if booking.deleted else booking.model_copy(update={"held": _held_nights(booking.reservation)})


def _held_nights(reservation: Reservation) -> frozenset[str]:
    table = settings().availability_table
    nights = batch_get({table: [{"date": night} for night in reservation.nights]})[table]
    return frozenset(
        night["date"]
        for night in nights
        if night.get("reservation_id") == reservation.reservation_id and night.get("status") == "booked"
    )


def _deleted(reservation_id: str, payment: Payment | None) -> Booking:
    """The booking of a deleted reservation: its sessions are expired, its money and its nights are returned.

    The nights are those of its newest session; before the first one, nothing has stored them.
    """
    if payment is None:
        raise LookupError(f"no reservation {reservation_id}")
    cancelled = deleted_reservation(payment)
    held = frozenset[str]() if payment.check_in is None else _held_nights(cancelled)
    return Booking(reservation=cancelled, payment=payment, held=held, deleted=True)


def deleted_reservation(payment: Payment) -> Reservation:
    """What takes the place of a payment's reservation that the platform deleted: a cancelled one, as far as known."""
    unknown = iso(payment.created_at)[:10]
    return Reservation.model_validate(
        {
            "reservation_id": payment.reservation_id,
            "customer_id": payment.customer_id or "",
            "check_in": payment.check_in or unknown,
            "check_out": payment.check_out or unknown,
            "status": "cancelled",
            "total_amount": 0,
            "created_at": payment.created_at,
        }
    )


def pending_reservations(*, since: str, until: datetime) -> Iterator[tuple[str, str]]:
    """Id and `created_at` of the reservations made between two moments that are still pending, oldest first."""
    found = query_index(
        settings().reservations_table,
        "status-index",
        condition="#status = :status AND created_at BETWEEN :since AND :until",
        values={":status": "pending", ":since": since, ":until": iso(until)},
    )
    return ((item["reservation_id"], item["created_at"]) for item in found)


def confirm_reservation(booking: Booking, pi: str, capture: Capture, *, now: datetime) -> bool:
    """Confirm the reservation with this capture; False if a condition did not hold.

    Raises StoreBusy if there was a conflict, throttling or no answer: then it may have happened.
    """
    reservation, payment = booking.reservation, payment_of(booking)
    confirm = UpdateBuilder().set_all(status="confirmed", payment_status="completed", payment_id=payment.payment_id)
    confirm.require("status", "pending").require("total_amount", capture.amount)

    # From now on only refunds of the booking's own capture count.
    own = capture.model_copy(update={"role": "booking"})
    after = payment.model_copy(update={"status": "completed", "captures": {**payment.captures, pi: own}})
    complete = UpdateBuilder()
    write_totals(complete, payment, after)
    complete.set(f"captures.{pi}.role", "booking")
    complete.set_all(amount=capture.amount, currency=capture.currency, **copies(pi, capture))
    complete.set_all(completed_at=iso(now), updated_at=iso(now))
    complete.remove("task_token", "awaiting", "error_message")
    # The daily check may as well come earlier; each move of an item in its index is paid for.
    if payment.due_at is None or not now < payment.due_at <= now + DAILY:
        write_due(complete, after, now=now)
    write_attention(complete, payment, after, now=now)
    complete.require_missing("cancel_requested_at")
    complete.require_missing(f"captures.{pi}.role")
    complete.require(f"captures.{pi}.amount", capture.amount)
    complete.require(f"captures.{pi}.refundable", capture.amount)

    return transact(
        [
            _reservation_update(reservation, confirm),
            payment_operation(payment.payment_id, complete),
            *[_night_check(night, reservation) for night in reservation.nights],
            audit_operation(payment.payment_id, "booking_confirmed", now=now, subject=pi, amount=capture.amount),
        ]
    )


def copies(pi: str, capture: Capture) -> dict[str, str]:
    """Attributes of a confirmed payment that are there for readers alone."""
    charge = {} if capture.charge is None else {"stripe_charge_id": capture.charge}
    names = {"stripe_payment_intent_id": pi, "provider_transaction_id": pi}
    return {"provider": "stripe", "payment_method": "card", **names, **charge}


def release_hold(booking: Booking, *, status: str, now: datetime) -> bool:
    """End an unpaid booking; False if something changed since it was read.

    A pending reservation takes `status`, any other stays unchanged. The nights that are held become available, unless
    the platform has confirmed the reservation itself, and the payment becomes `expired`.
    """
    reservation, payment = booking.reservation, payment_of(booking)
    expire = UpdateBuilder().set_all(status="expired", updated_at=iso(now)).remove("task_token", "awaiting")
    expire.require("status", "pending")
    after = payment.model_copy(update={"status": "expired", "updated_at": now})
    write_due(expire, after, now=now)
    write_attention(expire, payment, after, now=now)
    end = UpdateBuilder()
    if booking.deleted:
        end.require_missing("reservation_id")
    else:
        end.require("status", reservation.status)
    if reservation.status == "pending":
        end.set("status", status)
        reservation_operation = _reservation_update(reservation, end)
    else:
        reservation_operation = check_operation(settings().reservations_table, _reservation_key(reservation), end)
    nights = [] if reservation.takes_place else _night_releases(booking)
    entry = audit_operation(payment.payment_id, "hold_released", now=now, reason=end_reason(reservation, after))
    return transact([payment_operation(payment.payment_id, expire), reservation_operation, *nights, entry])


def reserve_refund(booking: Booking, refund_id: str, refund: Refund, *, cancel_stay: bool, now: datetime) -> bool:
    """Enter a refund and reserve its amount; False if something changed since the booking was read.

    The capture of an unapplied payment takes the role `unapplied`.
    `cancel_stay` also cancels the confirmed reservation and frees its nights, before any money moves.
    """
    payment, pi = payment_of(booking), refund.payment_intent
    capture, update = payment.captures[pi], UpdateBuilder()
    update.set(f"captures.{pi}.refundable", capture.refundable - refund.amount)
    update.require(f"captures.{pi}.refundable", capture.refundable)
    if refund.kind == "unapplied" and capture.role is None:
        update.set(f"captures.{pi}.role", "unapplied")
        update.require_missing(f"captures.{pi}.role")
    update.require_missing(f"refunds.{refund_id}")
    enter_refunds(update, payment, {refund_id: refund}, now)
    entry = audit_operation(
        payment.payment_id,
        "booking_cancelled" if cancel_stay else "refund_requested",
        now=now,
        subject=refund_id,
        amount=refund.amount,
        reason=refund.reason,
    )
    operations = [payment_operation(payment.payment_id, update), entry]
    if cancel_stay:
        cancel = UpdateBuilder().set("status", "cancelled").require("status", "confirmed")
        operations += [_reservation_update(booking.reservation, cancel), *_night_releases(booking)]
    return transact(operations)


def _reservation_key(reservation: Reservation) -> dict[str, str]:
    return {"reservation_id": reservation.reservation_id}


def _reservation_update(reservation: Reservation, update: UpdateBuilder) -> dict[str, Any]:
    return update_operation(settings().reservations_table, _reservation_key(reservation), update)


def _night_check(night: str, reservation: Reservation) -> dict[str, Any]:
    held = UpdateBuilder().require("reservation_id", reservation.reservation_id).require("status", "booked")
    return check_operation(settings().availability_table, {"date": night}, held)


def _night_releases(booking: Booking) -> list[dict[str, Any]]:
    """One operation per night that the booking holds."""
    free = UpdateBuilder().set("status", "available").remove("reservation_id")
    free.require("reservation_id", booking.reservation.reservation_id)
    return [update_operation(settings().availability_table, {"date": night}, free) for night in sorted(booking.held)]
