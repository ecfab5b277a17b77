"""State ConfirmReservation: confirm the reservation and assign the capture to it, in one transaction.

Changes: the reservation (`confirmed`) and the payment item (status, role of the capture); the transaction also checks
every night of the stay.
Safe to run twice: when the transaction is refused or its answer is lost, it reads the booking again. A payment that
is neither `pending` nor `expired` was confirmed before, whatever happened to the reservation since.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from shared.adapters import bookings
from shared.contracts.booking_events import PaymentConfirmed
from shared.contracts.states import ConfirmReservationInput, ConfirmReservationOutput
from shared.domain.attempts import CURRENCY, booking_gone
from shared.domain.booking import Booking, payment_of
from shared.domain.errors import BookingLost, StoreBusy
from shared.domain.models import Capture, Payment
from shared.observability import count, entry_point


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the event to publish. Raises BookingLost (the money must be refunded), StoreBusy (try again)."""
    request = ConfirmReservationInput.model_validate(event)
    return _confirm(request).model_dump(exclude_none=True)


def _confirm(request: ConfirmReservationInput) -> ConfirmReservationOutput:
    booking = bookings.read_booking(request.reservation_id, nights=False)
    payment = payment_of(booking)
    if _confirmed(payment):
        return _output(payment, payment.completed_at or payment.updated_at)
    pi = request.payment_intent
    if pi is None or pi not in payment.captures:
        raise LookupError(f"no capture {pi} on {payment.payment_id}")
    capture = payment.captures[pi]
    now = datetime.now(UTC)
    if _lost(booking, pi, capture) or not _commit(booking, pi, capture, now):
        raise BookingLost(f"{pi} of {payment.payment_id}")
    count("BookingsPaid")
    count("TimeToConfirm", (now - capture.captured_at).total_seconds(), MetricUnit.Seconds)
    own = {pi: capture.model_copy(update={"role": "booking"})}
    return _output(payment.model_copy(update={"captures": {**payment.captures, **own}, "amount": capture.amount}), now)


def _output(payment: Payment, at: datetime) -> ConfirmReservationOutput:
    pi, own = payment.own_capture or ("", None)
    amount = payment.amount or 0 if own is None else own.amount
    event = PaymentConfirmed.about(payment, "", at, payment_intent=pi, amount=amount, currency="EUR")
    return ConfirmReservationOutput(event=event)


def _confirmed(payment: Payment) -> bool:
    return payment.status not in {"pending", "expired"}


def _lost(booking: Booking, pi: str, capture: Capture) -> bool:
    return (
        booking_gone(booking)
        or payment_of(booking).status == "expired"
        or capture.role is not None
        or not payment_of(booking).whole(pi)
        or booking.reservation.total_amount != capture.amount
        or capture.currency != CURRENCY
    )


def _commit(booking: Booking, pi: str, capture: Capture, now: datetime) -> bool:
    """Return whether the booking is confirmed now; False only when it is lost. Raises StoreBusy when it is neither."""
    try:
        if bookings.confirm_reservation(booking, pi, capture, now=now):
            return True
        busy = StoreBusy("the transaction was refused, but what was read meets its conditions")
    except StoreBusy as error:
        busy = error
    after = bookings.read_booking(booking.reservation.reservation_id)
    payment = payment_of(after)
    if _confirmed(payment):
        return True
    if _lost(after, pi, payment.captures[pi]):
        return False
    raise busy
