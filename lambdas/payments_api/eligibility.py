"""Whether a booking may be paid now, and whether another attempt may be opened."""

from datetime import datetime, timedelta

from shared.domain.api_errors import ApiError
from shared.domain.attempts import amount_payable, attempts_left, hold_ending
from shared.domain.booking import Reservation
from shared.domain.models import Payment, iso
from shared.settings import settings

# The platform may use other statuses; they get the general answer.
_KNOWN_STATUSES = frozenset({"cancelled", "completed", "confirmed", "expired"})


def check_payable(reservation: Reservation, payment: Payment | None) -> None:
    """Raises RESERVATION_NOT_PAYABLE."""
    if reservation.status != "pending":
        known = reservation.status in _KNOWN_STATUSES
        raise ApiError("RESERVATION_NOT_PAYABLE", reservation.status if known else "general")
    if payment is not None and payment.status != "pending":
        raise ApiError("RESERVATION_NOT_PAYABLE", "expired" if payment.status == "expired" else "paid")
    if payment is not None and payment.cancel_requested_at is not None:
        raise ApiError("RESERVATION_NOT_PAYABLE", "cancelling")
    if not amount_payable(reservation):
        raise ApiError("RESERVATION_NOT_PAYABLE", "total")


def attempt_allowed(reservation: Reservation, payment: Payment, now: datetime) -> bool:
    """Whether neither of the two checks of a new attempt refuses it."""
    try:
        check_payable(reservation, payment)
        check_attempt_allowed(payment, now)
    except ApiError:
        return False
    return True


def check_attempt_allowed(payment: Payment, now: datetime) -> None:
    """Raises ATTEMPTS_EXHAUSTED or HOLD_ENDING."""
    if attempts_left(payment, settings().max_attempts) == 0:
        raise ApiError("ATTEMPTS_EXHAUSTED", details={"hold_expires_at": iso(payment.hold_expires_at)})
    check_hold(payment, now)


def check_hold(payment: Payment, now: datetime) -> None:
    """Raises HOLD_ENDING."""
    if hold_ending(payment.hold_expires_at, timedelta(seconds=settings().checkout_window_seconds), now):
        raise ApiError("HOLD_ENDING", details={"hold_expires_at": iso(payment.hold_expires_at)})
