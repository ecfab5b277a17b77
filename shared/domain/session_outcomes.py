"""What a Checkout Session at Stripe means for its attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.attempts import AttemptKey
from shared.domain.models import Attempt, AttemptStatus, Capture, Payment
from shared.domain.stripe_values import CheckoutSession, PaymentIntent

# How long a 3-D Secure challenge may continue after its session has expired.
CHALLENGE_GRACE = timedelta(minutes=15)


@dataclass(frozen=True)
class SessionOutcome:
    """The attempt as it is now and the money that was captured; `unsettled` means that this may still change.

    `paid_by` is the PaymentIntent of the capture, with what Stripe has returned of it.
    """

    attempt: Attempt
    captures: Mapping[str, Capture] = field(default_factory=dict)
    paid_by: PaymentIntent | None = None
    payable: bool = False
    unsettled: bool = False


def assess_session(attempt: Attempt, session: CheckoutSession, now: datetime) -> SessionOutcome:
    """Assess an attempt by its session, with the PaymentIntent expanded.

    A capture counts whatever the session's own status says. An expired session is closed only when its PaymentIntent
    can no longer succeed: it is not `processing`, and a 3-D Secure challenge has had 15 minutes after the session.
    """
    intent = session.payment_intent
    known = attempt.model_copy(update={"stripe_checkout_session_id": session.id})
    if intent is not None and intent.status == "succeeded":
        captures = {intent.id: capture_of(intent, session.id, now)}
        return SessionOutcome(attempt=_ended(known, "paid", "paid", now), captures=captures, paid_by=intent)
    if session.status == "open":
        return SessionOutcome(
            attempt=known, payable=True, unsettled=intent is not None and intent.status == "processing"
        )
    if intent is not None and intent.status in {"processing", "requires_action", "requires_capture"}:
        ended_at = attempt.closed_at or now
        waiting = known.model_copy(update={"closed_at": ended_at})
        if intent.status != "requires_action" or now < ended_at + CHALLENGE_GRACE:
            return SessionOutcome(attempt=waiting, unsettled=True)
    if intent is not None and intent.decline_code is not None:
        known = known.model_copy(
            update={"failure_code": intent.decline_code, "failure_message": intent.decline_message}
        )
    reason = "expired" if session.status == "expired" else "payment_failed"
    return SessionOutcome(attempt=_ended(known, "closed", reason, now))


def capture_of(intent: PaymentIntent, session_id: str, now: datetime) -> Capture:
    """The money that a PaymentIntent has received, of which nothing is refunded by us yet."""
    return Capture(
        amount=intent.amount_received,
        currency=intent.currency.upper(),
        session=session_id,
        charge=intent.charge,
        captured_at=intent.captured_at or now,
        refundable=intent.amount_received,
    )


def _ended(attempt: Attempt, status: AttemptStatus, reason: str, now: datetime) -> Attempt:
    return attempt.model_copy(
        update={
            "status": status,
            "close_reason": reason,
            "closed_at": attempt.closed_at or now,
            "checkout_url": None,
            "parameters": "",  # they would fill the item, and hold the guest's e-mail address
        }
    )


def never_opened(attempt: Attempt, reason: str, now: datetime) -> SessionOutcome:
    """Close an attempt whose session does not exist, or was never published and can no longer be paid."""
    return SessionOutcome(attempt=_ended(attempt, "closed", reason, now))


def merge_outcomes(payment: Payment, outcomes: Mapping[AttemptKey, SessionOutcome]) -> Payment:
    """The payment with the outcomes applied; captures are added, never replaced."""
    attempts = {**payment.attempts, **{key: outcome.attempt for key, outcome in outcomes.items()}}
    captures = {pi: capture for outcome in outcomes.values() for pi, capture in outcome.captures.items()}
    return payment.model_copy(update={"attempts": attempts, "captures": {**captures, **payment.captures}})
