"""State ReleaseHold: give the dates back and end the payment as `expired`, in one transaction.

Changes: reservation (`expired`, or `cancelled` where the guest asked for it), its nights, payment item.
Safe to run twice: a payment that is `expired` already was released before; what is no longer this reservation's is
left alone; a transaction that lost a race is built anew from what is.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings
from shared.contracts.states import ReleaseHoldInput, ReleaseHoldOutput
from shared.domain.errors import BookedElsewhere, StoreBusy
from shared.domain.models import Booking
from shared.observability import count, entry_point
from shared.services.next_step import payment_of

TRIES = 3


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with how the booking ended. Raises BookedElsewhere, StoreBusy."""
    request = ReleaseHoldInput.model_validate(event)
    for _ in range(TRIES):
        booking = bookings.read_booking(request.reservation_id)
        payment = payment_of(booking)
        if payment.status == "expired":
            return _released(booking)
        if payment.status != "pending" or booking.reservation.status in {"confirmed", "completed"}:
            raise BookedElsewhere(f"reservation {booking.reservation.status}, payment {payment.status}")
        status = "expired" if payment.cancel_requested_at is None else "cancelled"
        if bookings.release_hold(booking, status=status, now=datetime.now(UTC)):
            count("HoldsReleased", reason=status)
            return _released(booking)
    raise StoreBusy("the booking kept changing while it was released")


def _released(booking: Booking) -> dict[str, Any]:
    return ReleaseHoldOutput(nights=booking.reservation.nights).model_dump()
