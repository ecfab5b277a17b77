"""Checkout attempts and holds: whether and how a session may be opened or offered."""

from datetime import datetime, timedelta

from shared.domain.ids import payment_id_of
from shared.domain.models import Attempt, Booking, Payment, Reservation

CURRENCY = "EUR"


MIN_AMOUNT, MAX_AMOUNT = 50, 99_999_999  # Stripe's bounds for a EUR charge, in cents


# Stripe wants 30 minutes at least by its own clock; exactly 30 would fail under clock skew
# (Stripe's API reference, "Create a Checkout Session", `expires_at`).
SESSION_MARGIN = timedelta(seconds=300)


SESSION_MINIMUM = timedelta(minutes=35)


# A create that got no answer is repeated as it was for this long; later it would be refused for its `expires_at`.
OPENING_REPEATABLE = timedelta(seconds=240)


# Stripe forgets an idempotency key after 24 hours at the earliest; past this a repeat could make a second session.
KEY_REMEMBERED = timedelta(hours=23)


AttemptKey = str


def attempts_left(payment: Payment | None, max_attempts: int) -> int:
    """How many more sessions may be published: `max_attempts` and what operators granted, less the counted ones."""
    if payment is None:
        return max_attempts
    counted = sum(attempt.counted for attempt in payment.attempts.values())
    return max(0, max_attempts + payment.attempts_granted - counted)


def hold_ending(hold_expires_at: datetime, window: timedelta, now: datetime) -> bool:
    """Whether a checkout window opened now would outlast the hold."""
    return now + window > hold_expires_at


def amount_payable(reservation: Reservation) -> bool:
    return MIN_AMOUNT <= reservation.total_amount <= MAX_AMOUNT


def new_payment(
    reservation: Reservation, *, hold: timedelta, success_url: str, cancel_url: str, now: datetime
) -> Payment:
    """The payment item of a booking that has none yet; its hold began when the reservation was made."""
    return Payment(
        payment_id=payment_id_of(reservation.reservation_id),
        reservation_id=reservation.reservation_id,
        status="pending",
        customer_id=reservation.customer_id,
        hold_expires_at=reservation.created_at + hold,
        success_url=success_url,
        cancel_url=cancel_url,
        created_at=now,
        updated_at=now,
    )


def offerable(payment: Payment, reservation: Reservation, *, margin: timedelta, now: datetime) -> bool:
    """Whether the current session may be given to the guest.

    Only while the payment awaits it, the reservation is pending at the session's price, and the window is not about
    to end (`margin`). A session that has ended with a payment under way is `open`, but for its `closed_at`.
    """
    attempt = payment.current
    return (
        payment.status == "pending"
        and payment.awaiting == "payment"
        and payment.cancel_requested_at is None
        and reservation.status == "pending"
        and attempt is not None
        and attempt.status == "open"
        and attempt.closed_at is None
        and attempt.checkout_url is not None
        and attempt.amount == reservation.total_amount
        and now + margin < attempt.deadline
    )


def booking_gone(booking: Booking) -> bool:
    """Whether the reservation can no longer be confirmed, or the guest has asked to cancel it."""
    payment = booking.payment
    return (
        booking.reservation.status != "pending"
        or not booking.nights_held
        or (payment is not None and payment.cancel_requested_at is not None)
    )


def session_expires_at(opened_at: datetime, window: timedelta) -> datetime:
    """When Stripe shall expire a session opened now: after our own deadline, and well inside Stripe's bounds."""
    return opened_at + max(window + SESSION_MARGIN, SESSION_MINIMUM)


def next_attempt_key(payment: Payment) -> AttemptKey:
    """The key number always rises, so that no idempotency key is ever used for two sets of parameters."""
    return str(max((int(key) for key in payment.attempts), default=0) + 1)


def repeatable(attempt: Attempt, reservation: Reservation, now: datetime) -> bool:
    """Whether the stored create of an attempt that was never published may be sent again as it is."""
    return (
        attempt.status == "opening"
        and attempt.amount == reservation.total_amount
        and now <= attempt.opened_at + OPENING_REPEATABLE
    )
