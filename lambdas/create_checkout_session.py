"""State CreateCheckoutSession: open the booking's next attempt and create its Checkout Session at Stripe.

Changes: `attempts.{key}`, `current_attempt` and `attention` on the payment item; a Checkout Session at Stripe.
Safe to run twice: it stores the attempt with its exact parameters before it calls Stripe with the idempotency key
`{stack}:{payment_id}:checkout:{key}`. A second run finds the attempt still `opening`, sends the same request and gets
the same session; once the session's URL is published, it returns that URL.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters import bookings, payment_items, stripe_api
from shared.adapters.checkout_parameters import checkout_parameters
from shared.contracts.states import CreateCheckoutSessionInput, OpenedAttempt
from shared.domain.attempts import (
    EMAIL_INVALID,
    agreed_policy,
    amount_payable,
    booking_gone,
    hold_ending,
    next_attempt_key,
    repeatable,
    session_expires_at,
)
from shared.domain.booking import Booking, payment_of
from shared.domain.errors import HoldEnding, ReservationNotPayable, StoreBusy, StripeRefused
from shared.domain.ids import checkout_key
from shared.domain.models import Attempt, Matter, Payment, iso
from shared.domain.session_outcomes import merge_outcomes, never_opened
from shared.domain.stripe_values import CheckoutSession
from shared.observability import bind, count, entry_point
from shared.services.close_session import close_session
from shared.settings import settings

# When Stripe refuses a key, the next one is tried, without an e-mail address that it found invalid. Two refusals in a
# row mean that our request is wrong.
KEYS_PER_CALL = 2


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the attempt that AwaitPayment publishes.

    Raises ReservationNotPayable, HoldEnding, StripeUnavailable, StripeRefused, StoreBusy.
    """
    request = CreateCheckoutSessionInput.model_validate(event)
    try:
        return _open_attempt(request).model_dump()
    except StripeRefused:
        matter = Matter(kind="payment_refused", since=datetime.now(UTC))
        payment_items.open_matter(request.payment_id, matter)
        raise


def _open_attempt(request: CreateCheckoutSessionInput) -> OpenedAttempt:
    refused: StripeRefused | None = None
    for _ in range(KEYS_PER_CALL):
        booking = bookings.read_booking(request.reservation_id)
        now = datetime.now(UTC)
        payment = _require_payable(booking, now)
        published = OpenedAttempt.published(payment)
        if published is not None:
            return published
        payment = _close_unanswered(booking, payment, now)
        key, attempt = _find_or_store_attempt(booking, payment, now)
        bind(attempt=key)
        try:
            session = stripe_api.create_checkout_session(
                attempt.parameters, idempotency_key=checkout_key(payment.payment_id, key)
            )
        except StripeRefused as error:
            refused = error
            code = EMAIL_INVALID if error.param == "customer_email" else error.code or "refused"
            closed = never_opened(attempt.model_copy(update={"failure_code": code}), "refused", now)
            stored = payment_of(bookings.read_booking(request.reservation_id))
            payment_items.record_session_outcomes(stored, {key: closed}, now=now)
            continue
        count("SessionsOpened")
        return _opened(key, attempt, session)
    raise refused or StoreBusy("no attempt could be opened")


def _require_payable(booking: Booking, now: datetime) -> Payment:
    payment = booking.payment
    if payment is None or payment.status != "pending" or booking_gone(booking):
        raise ReservationNotPayable("no longer pending")
    if not amount_payable(booking.reservation):
        raise ReservationNotPayable("total outside Stripe's limits")
    if hold_ending(payment.hold_expires_at, timedelta(seconds=settings().checkout_window_seconds), now):
        raise HoldEnding(iso(payment.hold_expires_at))
    return payment


def _close_unanswered(booking: Booking, payment: Payment, now: datetime) -> Payment:
    """Close the current attempt if Stripe never answered it and its request cannot be sent again.

    Until Stripe answers, no other attempt is stored, however often the guest tries: the payment item stays small.
    """
    key, current = payment.current_attempt, payment.current
    if key is None or current is None or current.status != "opening" or repeatable(current, booking.reservation, now):
        return payment
    outcomes = {key: close_session(current, checkout_key(payment.payment_id, key))}
    payment_items.record_session_outcomes(payment, outcomes, now=now)
    payment = merge_outcomes(payment, outcomes)
    if payment.attempts[key].status != "closed":
        raise ReservationNotPayable("an earlier session is not closed")
    return payment


def _find_or_store_attempt(booking: Booking, payment: Payment, now: datetime) -> tuple[str, Attempt]:
    """Return the current attempt if its request may be sent again, otherwise store a new one."""
    current = payment.current
    if payment.current_attempt and current and repeatable(current, booking.reservation, now):
        return payment.current_attempt, current
    if any(attempt.status == "open" for attempt in payment.attempts.values()):
        # Two payable sessions could both be charged: ExpireCheckoutSessions has to close the first one.
        raise ReservationNotPayable("an earlier session is not closed")
    key = next_attempt_key(payment)
    window = timedelta(seconds=settings().checkout_window_seconds)
    policy = agreed_policy(booking.reservation, payment, settings().refund_policy)
    parameters = checkout_parameters(
        booking.reservation,
        payment_id=payment.payment_id,
        attempt_key=key,
        expires_at=session_expires_at(now, window),
        success_url=payment.success_url,
        cancel_url=payment.cancel_url,
        policy=policy,
        with_email=all(attempt.failure_code != EMAIL_INVALID for attempt in payment.attempts.values()),
    )
    attempt = Attempt(
        status="opening",
        amount=booking.reservation.total_amount,
        parameters=parameters,
        opened_at=now,
        deadline=now + window,
    )
    if not payment_items.open_attempt(payment, key, attempt, booking.reservation, policy=policy, now=now):
        raise StoreBusy("another call opened an attempt")
    return key, attempt


def _opened(key: str, attempt: Attempt, session: CheckoutSession) -> OpenedAttempt:
    if session.url is None:
        # Stripe replayed the answer to an earlier request, and the session has been closed since.
        raise StoreBusy(f"session {session.id} is {session.status}")
    return OpenedAttempt(
        key=key,
        session_id=session.id,
        checkout_url=session.url,
        checkout_expires_at=iso(session.expires_at),
        deadline=iso(attempt.deadline),
    )
