"""State ExpireCheckoutSessions: close every session that may still be open, and decide the next step.

Changes: Checkout Sessions at Stripe; the payment item (`attempts`, `captures`) with what Stripe answered.
Safe to run twice: when a session is closed already, it is read instead, and if it was paid in the meantime the money
is recorded.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings, stripe_api
from shared.contracts.states import ExpireCheckoutSessionsInput
from shared.domain.attempts import KEY_REMEMBERED
from shared.domain.booking import payment_of
from shared.domain.errors import StripeRefused, StripeUnavailable
from shared.domain.models import UNCLOSED, Attempt, Payment
from shared.domain.session_outcomes import SessionOutcome, assess_session, never_opened
from shared.observability import entry_point
from shared.services.record_and_decide import record_and_decide


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the next step: `await_stripe` when Stripe does not answer. Raises StoreBusy, StripeRefused."""
    request = ExpireCheckoutSessionsInput.model_validate(event)
    booking = bookings.read_booking(request.reservation_id)
    outcomes, asked = _close_sessions(payment_of(booking))
    return record_and_decide(booking, outcomes, request, asked=asked, closing=True).model_dump(exclude_none=True)


def _close_sessions(payment: Payment) -> tuple[dict[str, SessionOutcome], bool]:
    """Close the sessions, and return their outcomes and whether Stripe answered for all of them."""
    outcomes: dict[str, SessionOutcome] = {}
    for key, attempt in payment.attempts.items():
        if attempt.status not in UNCLOSED:
            continue
        try:
            outcomes[key] = _close(attempt, f"{payment.payment_id}:checkout:{key}")
        except StripeUnavailable:
            # The other calls would time out too, after 20 s each. The next run closes the remaining sessions.
            return outcomes, False
    return outcomes, True


def _close(attempt: Attempt, idempotency_key: str) -> SessionOutcome:
    session_id = attempt.stripe_checkout_session_id
    if session_id is None:
        # Stripe's answer to the create was lost. The session's URL was never published, so nobody can have paid.
        now = datetime.now(UTC)
        if now > attempt.opened_at + KEY_REMEMBERED:
            return never_opened(attempt, "unpublished", now)
        try:
            session_id = stripe_api.create_checkout_session(attempt.parameters, idempotency_key=idempotency_key).id
        except StripeRefused:
            return never_opened(attempt, "never_opened", now)
    return assess_session(attempt, stripe_api.expire_checkout_session(session_id), datetime.now(UTC))
