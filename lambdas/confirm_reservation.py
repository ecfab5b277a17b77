"""State ConfirmReservation: the capture becomes the booking's, the reservation `confirmed`, in one transaction.

Changes: reservation, payment item (status, role of the capture); checks every night of the stay.
Safe to run twice: after a transaction that was refused, in conflict or not answered it reads what is; a payment that
is no longer `pending` or `expired` was confirmed before, whatever the reservation became since.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from shared.adapters import bookings
from shared.contracts.states import ConfirmReservationInput, ConfirmReservationOutput
from shared.domain.attempts import CURRENCY, booking_gone
from shared.domain.errors import BookingLost, StoreBusy
from shared.domain.models import Booking, Capture, Payment
from shared.observability import count, entry_point
from shared.services.next_step import payment_of


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with what was paid. Raises BookingLost (the money is to be refunded), StoreBusy (again)."""
    request = ConfirmReservationInput.model_validate(event)
    booking = bookings.read_booking(request.reservation_id)
    payment = payment_of(booking)
    if not _confirmed(payment):
        pi, capture = _capture(payment, request.payment_intent)
        now = datetime.now(UTC)
        if _lost(booking, capture) or not _commit(booking, pi, capture, now):
            raise BookingLost(f"{pi} of {payment.payment_id}")
        count("BookingsPaid")
        count("TimeToConfirm", (now - capture.captured_at).total_seconds(), MetricUnit.Seconds)
        payment = payment.model_copy(update={"amount": capture.amount, "currency": capture.currency})
    return ConfirmReservationOutput(amount=payment.amount or 0, currency=payment.currency).model_dump()


def _confirmed(payment: Payment) -> bool:
    return payment.status not in {"pending", "expired"}


def _capture(payment: Payment, pi: str | None) -> tuple[str, Capture]:
    if pi is None or pi not in payment.captures:
        raise LookupError(f"no capture {pi} on {payment.payment_id}")
    return pi, payment.captures[pi]


def _lost(booking: Booking, capture: Capture) -> bool:
    return (
        booking_gone(booking)
        or payment_of(booking).status == "expired"
        or capture.role is not None
        or booking.reservation.total_amount != capture.amount
        or capture.currency != CURRENCY
    )


def _commit(booking: Booking, pi: str, capture: Capture, now: datetime) -> bool:
    """Whether the booking is confirmed now; False when it is really lost."""
    try:
        if bookings.confirm_reservation(booking, pi, capture, now=now):
            return True
        busy = StoreBusy("refused, though nothing that was read forbids it")
    except StoreBusy as error:
        busy = error
    after = bookings.read_booking(booking.reservation.reservation_id)
    payment = payment_of(after)
    if _confirmed(payment):
        return True
    if _lost(after, payment.captures[pi]):
        return False
    raise busy
