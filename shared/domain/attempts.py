"""Checkout attempts and holds: whether a session may be opened or offered, and until when."""

from datetime import datetime, timedelta

from shared.domain.booking import Booking, Reservation
from shared.domain.due import SOON, due_shard
from shared.domain.ids import payment_id_of
from shared.domain.models import Attempt, Payment
from shared.domain.refund_policy import RefundTier

type AttemptKey = str  # "1", "2", …

EMAIL_INVALID = "email_invalid"  # the failure of an attempt whose e-mail address Stripe refused

CURRENCY = "EUR"
MIN_AMOUNT, MAX_AMOUNT = 50, 99_999_999  # Stripe's bounds for a charge in euros, in cents

# Stripe expires a session 30 minutes after its creation at the earliest, by its own clock. With exactly 30 minutes a
# clock that is slightly ahead would fail (Stripe's API reference, "Create a Checkout Session", `expires_at`).
SESSION_MARGIN = timedelta(seconds=300)
SESSION_MINIMUM = timedelta(minutes=35)

# A create request without an answer may be repeated for this long; later its `expires_at` would be refused.
OPENING_REPEATABLE = timedelta(seconds=240)

# Stripe keeps an idempotency key for at least 24 hours; after that a repeat could create a second session.
KEY_REMEMBERED = timedelta(hours=23)


def agreed_policy(reservation: Reservation, payment: Payment | None, default: list[RefundTier]) -> list[RefundTier]:
    """The refund policy that was agreed when the first session was opened, or would be agreed now."""
    for agreed in (None if payment is None else payment.refund_policy, reservation.refund_policy):
        if agreed is not None:  # a policy without tiers is one
            return agreed
    return default


def attempts_left(payment: Payment | None, max_attempts: int) -> int:
    """How many more sessions may be published: `max_attempts` plus those granted by operators, less those counted."""
    if payment is None:
        return max_attempts
    counted = sum(attempt.counted for attempt in payment.attempts.values())
    return max(0, max_attempts + payment.attempts_granted - counted)


def hold_ending(hold_expires_at: datetime, window: timedelta, now: datetime) -> bool:
    """Whether a checkout window that starts now would outlast the hold."""
    return now + window > hold_expires_at


def amount_payable(reservation: Reservation) -> bool:
    """Whether Stripe can charge the reservation's total."""
    return MIN_AMOUNT <= reservation.total_amount <= MAX_AMOUNT


def new_payment(
    reservation: Reservation, *, hold: timedelta, success_url: str, cancel_url: str, now: datetime
) -> Payment:
    """The first payment item of a booking; its hold started when the reservation was made."""
    payment_id = payment_id_of(reservation.reservation_id)
    return Payment(
        payment_id=payment_id,
        reservation_id=reservation.reservation_id,
        status="pending",
        customer_id=reservation.customer_id,
        hold_expires_at=reservation.created_at + hold,
        success_url=success_url,
        cancel_url=cancel_url,
        created_at=now,
        updated_at=now,
        due_at=now + SOON,
        due_shard=due_shard(payment_id),
    )


def offerable(payment: Payment, reservation: Reservation, *, margin: timedelta, now: datetime) -> bool:
    """Whether the guest may be sent to the current session.

    The workflow must be waiting for it, the reservation must be pending at the session's price, and more than `margin`
    of the checkout window must be left. A session that has ended while a payment is still processing remains `open`;
    only its `closed_at` shows it.
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
    """Whether the reservation can no longer be confirmed, or its cancellation is requested."""
    payment = booking.payment
    return (
        booking.reservation.status != "pending"
        or not booking.nights_held
        or (payment is not None and payment.cancel_requested_at is not None)
    )


def session_expires_at(opened_at: datetime, window: timedelta) -> datetime:
    """When Stripe expires a session: after our own deadline, and within Stripe's bounds."""
    return opened_at + max(window + SESSION_MARGIN, SESSION_MINIMUM)


def forgettable(payment: Payment) -> list[AttemptKey]:
    """The attempts that ended before anybody could pay them; only a refused e-mail address has to be remembered."""
    return [
        key
        for key, attempt in payment.attempts.items()
        if attempt.status == "closed" and not attempt.counted and attempt.failure_code != EMAIL_INVALID
    ]


def next_attempt_key(payment: Payment) -> AttemptKey:
    """A key above all others, so that no idempotency key is used for two sets of parameters."""
    return str(max((int(key) for key in payment.attempts), default=0) + 1)


def repeatable(attempt: Attempt, reservation: Reservation, now: datetime) -> bool:
    """Whether the stored request of an unpublished attempt may be sent again unchanged."""
    return (
        attempt.status == "opening"
        and attempt.amount == reservation.total_amount
        and now <= attempt.opened_at + OPENING_REPEATABLE
    )
