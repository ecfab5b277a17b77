"""The decision at the heart of the payment workflow: what happens next, as a pure function."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.domain.attempts import CURRENCY, AttemptKey, amount_payable, booking_gone, hold_ending
from shared.domain.models import UNCLOSED, Booking
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
    """What the workflow does next, and about which PaymentIntent where it is about one."""

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
    """Decide what comes next, by the first rule that fits.

    unapplied  a capture that is neither the booking's nor handed over, and: of another amount or currency, or a second
              one, or the payment not pending, or the booking gone
    paid      the payment was confirmed before
    unknown   Stripe could not be asked, or has not decided yet
    close     a session may be open, and: a good capture, the booking gone, the hold or its time over, another price
    paid      one good capture
    release   the hold is over, or the booking gone
    open      the current session can be paid in time
    create    no attempt yet or the current one still opening, and the reservation payable for a whole window
    retry     else

    `booking.payment` holds what was found already. `asked` is False when Stripe could not be asked. `closing` is True
    in ExpireCheckoutSessions, which leaves no session to close or to hand out. `refunds_started` are the PaymentIntents
    that this execution has given to a refund workflow.
    """
    payment, reservation = booking.payment, booking.reservation
    if payment is None:
        raise ValueError(f"no payment item for reservation {reservation.reservation_id}")
    gone = booking_gone(booking)
    given = set(refunds_started)
    good: str | None = None
    for pi, capture in sorted(payment.captures.items(), key=lambda entry: (entry[1].captured_at, entry[0])):
        if capture.role == "booking" or pi in given:
            continue
        fits = capture.amount == reservation.total_amount and capture.currency == CURRENCY and capture.role is None
        if payment.status == "pending" and fits and not gone and good is None:
            good = pi
        else:
            return NextStep("refund_unapplied", pi)
    if payment.status not in {"pending", "expired"}:
        return NextStep("confirm", payment.stripe_payment_intent_id)
    if not asked or any(outcome.unsettled for outcome in outcomes.values()):
        return NextStep("await_stripe")

    hold_over = now >= payment.hold_expires_at
    unclosed = [attempt for attempt in payment.attempts.values() if attempt.status in UNCLOSED]
    # What was never published cannot be paid: it is closed before the end, but closes no other session by its age.
    stale = any(
        attempt.counted and (now >= attempt.deadline or attempt.amount != reservation.total_amount)
        for attempt in unclosed
    )
    if not closing and unclosed and (good is not None or gone or hold_over or stale):
        return NextStep("expire_sessions")
    if good is not None:
        return NextStep("confirm", good)
    if hold_over or gone:
        return NextStep("release_hold")
    outcome = outcomes.get(payment.current_attempt or "")
    if not closing and outcome is not None and outcome.payable:
        return NextStep("await_payment")
    current = payment.current
    if (
        (current is None or current.status == "opening")
        and amount_payable(reservation)
        and not hold_ending(payment.hold_expires_at, window, now)
    ):
        return NextStep("create_session")
    return NextStep("await_retry")
