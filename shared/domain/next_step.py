"""The central decision of the payment workflow: what it does next, as a pure function."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.domain.attempts import CURRENCY, AttemptKey, amount_payable, booking_gone, hold_ending
from shared.domain.booking import Booking, payment_of
from shared.domain.models import UNCLOSED
from shared.domain.session_outcomes import SessionOutcome

NextStepName = Literal[
    "refund_unapplied",
    "confirm",
    "await_stripe",
    "expire_sessions",
    "release_hold",
    "await_payment",
    "create_session",
    "await_retry",
]


@dataclass(frozen=True)
class NextStep:
    """What the workflow does next; `payment_intent` comes with `refund_unapplied` and `confirm`."""

    name: NextStepName
    payment_intent: str | None = None


def decide_next_step(  # noqa: C901 - the rules, in their order
    booking: Booking,
    outcomes: Mapping[AttemptKey, SessionOutcome],
    *,
    refunds_started: Iterable[str],
    asked: bool,
    closing: bool,
    window: timedelta,
    now: datetime,
) -> NextStep:
    """Decide what the workflow does next: the first rule that applies.

    refund_unapplied  a capture is not the booking's own and its refund is not started, and it cannot become the
                      booking's: wrong amount or currency, a part returned or disputed, a second capture, payment not
                      pending, or booking gone
    confirm           the payment was confirmed before
    await_stripe      Stripe did not answer, or a payment is still processing
    expire_sessions   a session may be open, and: there is a valid capture, the booking is gone, the hold is over, or
                      the session has passed its deadline or has another price
    confirm           there is one valid capture
    await_stripe      Stripe refuses to expire a session, which can still be paid
    release_hold      the hold is over, or the booking is gone
    await_payment     the current session can be paid
    create_session    there is no attempt, or the current one is still opening, and the reservation can be paid within
                      a whole checkout window
    await_retry       otherwise

    `booking.payment` already includes the outcomes. `asked` is False if Stripe did not answer. `closing` is True in
    ExpireCheckoutSessions, which has just tried to expire every session. `refunds_started` are the
    PaymentIntents for which this execution has started a refund.
    """
    payment, reservation = payment_of(booking), booking.reservation
    gone = booking_gone(booking)
    started = set(refunds_started)
    valid: str | None = None
    for pi, capture in sorted(payment.captures.items(), key=lambda entry: (entry[1].captured_at, entry[0])):
        if capture.role == "booking" or pi in started:
            continue
        fits = capture.amount == reservation.total_amount and capture.currency == CURRENCY and capture.role is None
        fits = fits and payment.whole(pi)
        if payment.status == "pending" and fits and not gone and valid is None:
            valid = pi
        else:
            return NextStep("refund_unapplied", pi)
    if payment.status not in {"pending", "expired"}:
        return NextStep("confirm", payment.stripe_payment_intent_id)
    if not asked or any(outcome.unsettled for outcome in outcomes.values()):
        return NextStep("await_stripe")

    hold_over = now >= payment.hold_expires_at
    unclosed = [attempt for attempt in payment.attempts.values() if attempt.status in UNCLOSED]
    # A session that was never published cannot be paid, so its age is no reason to expire the others.
    stale = any(
        attempt.counted and (now >= attempt.deadline or attempt.amount != reservation.total_amount)
        for attempt in unclosed
    )
    if not closing and unclosed and (valid is not None or gone or hold_over or stale):
        return NextStep("expire_sessions")
    if valid is not None:
        return NextStep("confirm", valid)
    if closing and any(outcome.payable for outcome in outcomes.values()):
        return NextStep("await_stripe")
    if hold_over or gone:
        return NextStep("release_hold")
    outcome = outcomes.get(payment.current_attempt or "")
    if outcome is not None and outcome.payable:
        return NextStep("await_payment")
    current = payment.current
    if (
        (current is None or current.status == "opening")
        and amount_payable(reservation)
        and not hold_ending(payment.hold_expires_at, window, now)
    ):
        return NextStep("create_session")
    return NextStep("await_retry")
