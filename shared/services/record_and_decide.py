"""What VerifyPayment and ExpireCheckoutSessions do after asking Stripe: record the outcomes, decide the next step."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from shared.adapters import payment_items
from shared.adapters.notifications import publish
from shared.contracts.booking_events import AttemptFailed
from shared.contracts.states import NextStepOutput, OpenedAttempt, VerifyPaymentInput
from shared.domain.attempts import AttemptKey
from shared.domain.booking import Booking, payment_of
from shared.domain.errors import NotificationFailed, StripeRefused, StripeUnavailable
from shared.domain.models import Attempt, Matter, Payment, iso
from shared.domain.next_step import NextStep, decide_next_step
from shared.domain.session_outcomes import SessionOutcome, merge_outcomes
from shared.observability import count, logger
from shared.services.captures import enter_returned
from shared.services.reconciliation import notify_once
from shared.settings import settings


def record_and_decide(
    booking: Booking,
    outcomes: Mapping[AttemptKey, SessionOutcome],
    request: VerifyPaymentInput,
    *,
    asked: bool,
    closing: bool,
) -> NextStepOutput:
    """Record the outcomes and return the next step (see `decide_next_step`). Raises NotificationFailed, StoreBusy."""
    now = datetime.now(UTC)
    before = payment_of(booking)
    payment_items.record_session_outcomes(before, outcomes, now=now)
    payment = merge_outcomes(before, outcomes)
    try:
        for outcome in outcomes.values():
            if outcome.paid_by is not None and payment.captures[outcome.paid_by.id].role is None:
                payment = enter_returned(payment, outcome.paid_by)
    except (StripeUnavailable, StripeRefused):
        asked = False
    decided = decide_next_step(
        booking.model_copy(update={"payment": payment}),
        outcomes,
        refunds_started=request.refunds_started,
        asked=asked,
        closing=closing,
        window=timedelta(seconds=settings().checkout_window_seconds),
        now=now,
    )
    current = payment.current
    reason = (current and (current.failure_code or current.close_reason)) or "none"
    _notify_of_returned_money(payment, decided)
    if decided.name == "await_retry":
        _publish_failed_attempts(before, payment, now)
    logger.info("next_step", next_step=decided.name, stripe_payment_intent_id=decided.payment_intent, why=reason)
    count("NextSteps", next_step=decided.name)
    return NextStepOutput(
        next_step=decided.name,
        reason=reason,
        payment_intent=decided.payment_intent,
        attempt=OpenedAttempt.published(payment) if decided.name == "await_payment" else None,
    )


def ask_about(
    payment: Payment, attempts: Mapping[AttemptKey, Attempt], ask: Callable[[AttemptKey, Attempt], SessionOutcome]
) -> tuple[dict[AttemptKey, SessionOutcome], bool]:
    """Ask Stripe about the session of each attempt; return the outcomes, and whether Stripe answered for all of them.

    The operators are notified of a session that Stripe refuses.
    """
    outcomes: dict[AttemptKey, SessionOutcome] = {}
    asked = True
    for key, attempt in attempts.items():
        try:
            outcomes[key] = ask(key, attempt)
        except StripeUnavailable:
            # The other calls would time out too, after 20 s each. The next run asks about the remaining sessions.
            return outcomes, False
        except StripeRefused:
            with contextlib.suppress(NotificationFailed):  # the next run sends it
                notify_of_refusal(payment, key)
            asked = False
    return outcomes, asked


def notify_of_refusal(payment: Payment, key: AttemptKey) -> None:
    """Notify the operators, once, that Stripe refuses to read a session. Raises NotificationFailed.

    The hold goes on, since the session may have been paid, and Stripe is asked again.
    """
    session = payment.attempts[key].stripe_checkout_session_id or f"the session of attempt {key}"
    matter = Matter(kind="session_unreadable", subject=key, since=datetime.now(UTC))
    what = f"Stripe refuses to read {session}, so nobody knows whether it was paid; a hold goes on meanwhile"
    notify_once(f"stripe_refused {session}", "StripeRefused", payment, what, matter)


def _notify_of_returned_money(payment: Payment, decided: NextStep) -> None:
    """Notify the operators of money that was returned before it could confirm the booking, which stays unpaid."""
    pi = decided.payment_intent
    if decided.name != "refund_unapplied" or pi is None or payment.status != "pending":
        return
    # With a role, it is our own refund that has reserved the money: an earlier execution started it.
    if payment.captures[pi].role is None and not payment.whole(pi):
        what = f"{pi} was refunded or disputed before it could confirm the booking, which is not paid; its hold goes on"
        amount = payment.captures[pi].amount
        matter = Matter(kind="payment_returned", subject=pi, since=datetime.now(UTC), amount=amount)
        notify_once(f"returned {pi}", "PaymentReturned", payment, what, matter)


def _publish_failed_attempts(before: Payment, after: Payment, now: datetime) -> None:
    """Publish the attempts that have just ended without money, of those that the guest was offered.

    The current one even if it had ended before: whoever recorded that may have stopped before publishing it.
    """
    for key, attempt in after.attempts.items():
        news = key == after.current_attempt or before.attempts[key].status != "closed"
        if news and attempt.status == "closed" and attempt.counted:
            reason = attempt.failure_code or attempt.close_reason or "expired"
            expires = iso(after.hold_expires_at)
            publish(AttemptFailed.about(after, key, now, attempt=int(key), reason=reason, hold_expires_at=expires))
