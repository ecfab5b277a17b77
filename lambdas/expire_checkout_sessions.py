"""State ExpireCheckoutSessions: close every session that is not known to be closed, and decide what comes next.

Changes: sessions at Stripe; what was found is written to the payment item (`attempts`, `captures`).
Safe to run twice: closing a closed session is answered by reading it, and the money of one that was paid in the
meantime is found then, whatever came first.
"""

from datetime import UTC, datetime
from typing import Any

from shared import domain, payments, store
from shared.contracts import ExpireCheckoutSessionsInput
from shared.errors import StripeRefused, StripeUnavailable
from shared.models import UNCLOSED, Attempt
from shared.observability import entry_point
from shared.verdicts import conclude, payment_of


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the verdict; a Stripe that does not answer is `unknown`. Raises StoreBusy, StripeRefused."""
    request = ExpireCheckoutSessionsInput.model_validate(event)
    booking = store.read_booking(request.reservation_id)
    payment = payment_of(booking)
    findings: dict[str, domain.Finding] = {}
    asked = True
    for key, attempt in payment.attempts.items():
        if attempt.status not in UNCLOSED:
            continue
        try:
            findings[key] = _close(attempt, f"{payment.payment_id}:checkout:{key}")
        except StripeUnavailable:
            # The others would be as silent, 20 s each: what is left is closed at the next look.
            asked = False
            break
    return conclude(booking, findings, request, asked=asked, closing=True).model_dump(exclude_none=True)


def _close(attempt: Attempt, idempotency_key: str) -> domain.Finding:
    session_id = attempt.stripe_checkout_session_id
    if session_id is None:
        # The create was sent, its answer never came. Its URL was not published, so nobody can have paid.
        now = datetime.now(UTC)
        if now > attempt.opened_at + domain.KEY_REMEMBERED:
            return domain.never_opened(attempt, "unpublished", now)
        try:
            session_id = payments.create_checkout_session(attempt.parameters, idempotency_key=idempotency_key).id
        except StripeRefused:
            return domain.never_opened(attempt, "never_opened", now)
    return domain.learn(attempt, payments.expire_checkout_session(session_id), datetime.now(UTC))
