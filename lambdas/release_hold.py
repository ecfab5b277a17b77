"""State ReleaseHold: free the nights and end the payment as `expired`, in one transaction.

Changes: the reservation (`expired`, or `cancelled` if the guest asked for it), its nights and the payment item, or the
payment item alone where the platform has confirmed the reservation itself.
Safe to run twice: a payment that is `expired` was released before. Nights that no longer belong to the reservation
are left alone. The nights of a reservation that the platform deleted are known once a session was opened. A
transaction that loses a race is built again from what is stored then.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings
from shared.contracts.booking_events import HoldReleased
from shared.contracts.states import ReleaseHoldInput, ReleaseHoldOutput
from shared.domain.booking import Booking, end_reason, payment_of
from shared.domain.errors import BookedElsewhere, StoreBusy
from shared.observability import count, entry_point

TRIES = 3


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the event to publish. Raises BookedElsewhere, StoreBusy."""
    request = ReleaseHoldInput.model_validate(event)
    return _release(request).model_dump(exclude_none=True)


def _release(request: ReleaseHoldInput) -> ReleaseHoldOutput:
    for _ in range(TRIES):
        booking = bookings.read_booking(request.reservation_id)
        payment = payment_of(booking)
        elsewhere = BookedElsewhere(f"reservation {booking.reservation.status}, payment {payment.status}")
        if payment.status not in {"pending", "expired"}:
            raise elsewhere
        status = "expired" if payment.cancel_requested_at is None else "cancelled"
        now = datetime.now(UTC)
        if payment.status == "expired" or bookings.release_hold(booking, status=status, now=now):
            if booking.reservation.takes_place:
                raise elsewhere
            if payment.status == "pending":
                count("HoldsReleased", reason=status)
            return ReleaseHoldOutput(event=_event(booking, now))
    raise StoreBusy("the booking kept changing while it was released")


def _event(booking: Booking, now: datetime) -> HoldReleased:
    before = payment_of(booking)
    after = before.model_copy(update={"status": "expired"})
    return HoldReleased.about(
        after,
        "",
        before.updated_at if before.status == "expired" else now,
        nights=list(booking.nights),
        reason=end_reason(booking.reservation, after),
    )
