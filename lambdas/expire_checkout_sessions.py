"""State ExpireCheckoutSessions: close every session that is not known to be closed, and decide what comes next.

Changes: sessions at Stripe; what was found is written to the payment item (`attempts`, `captures`).
Safe to run twice: closing a closed session is answered by reading it, and the money of one that was paid in the
meantime is found then, whatever came first.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings, stripe_api
from shared.contracts.states import ExpireCheckoutSessionsInput
from shared.domain.attempts import KEY_REMEMBERED
from shared.domain.errors import StripeRefused, StripeUnavailable
from shared.domain.models import UNCLOSED, Attempt
from shared.domain.session_outcomes import SessionOutcome, assess_session, never_opened
from shared.observability import entry_point
from shared.services.next_step import payment_of, record_and_decide


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the next_step; a Stripe that does not answer is `unknown`. Raises StoreBusy, StripeRefused."""
    request = ExpireCheckoutSessionsInput.model_validate(event)
    booking = bookings.read_booking(request.reservation_id)
    payment = payment_of(booking)
    outcomes: dict[str, SessionOutcome] = {}
    asked = True
    for key, attempt in payment.attempts.items():
        if attempt.status not in UNCLOSED:
            continue
        try:
            outcomes[key] = _close(attempt, f"{payment.payment_id}:checkout:{key}")
        except StripeUnavailable:
            # The others would be as silent, 20 s each: what is left is closed at the next look.
            asked = False
            break
    return record_and_decide(booking, outcomes, request, asked=asked, closing=True).model_dump(exclude_none=True)


def _close(attempt: Attempt, idempotency_key: str) -> SessionOutcome:
    session_id = attempt.stripe_checkout_session_id
    if session_id is None:
        # The create was sent, its answer never came. Its URL was not published, so nobody can have paid.
        now = datetime.now(UTC)
        if now > attempt.opened_at + KEY_REMEMBERED:
            return never_opened(attempt, "unpublished", now)
        try:
            session_id = stripe_api.create_checkout_session(attempt.parameters, idempotency_key=idempotency_key).id
        except StripeRefused:
            return never_opened(attempt, "never_opened", now)
    return assess_session(attempt, stripe_api.expire_checkout_session(session_id), datetime.now(UTC))
