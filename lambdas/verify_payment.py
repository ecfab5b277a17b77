"""State VerifyPayment: ask Stripe about the sessions that may have brought money, and decide what comes next.

Changes: what was found is written to the payment item (`attempts`, `captures`).
Safe to run twice: at Stripe it only reads, a capture once recorded is never replaced, and the next_step is a pure
function of what was read.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings, stripe_api
from shared.contracts.states import VerifyPaymentInput
from shared.domain.errors import StripeUnavailable
from shared.domain.models import Payment
from shared.domain.session_outcomes import SessionOutcome, assess_session
from shared.observability import entry_point
from shared.services.next_step import payment_of, record_and_decide


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the next_step; a Stripe that does not answer is `unknown`. Raises StoreBusy, StripeRefused."""
    request = VerifyPaymentInput.model_validate(event)
    booking = bookings.read_booking(request.reservation_id)
    outcomes, asked = _read_sessions(payment_of(booking))
    return record_and_decide(booking, outcomes, request, asked=asked, closing=False).model_dump(exclude_none=True)


def _read_sessions(payment: Payment) -> tuple[dict[str, SessionOutcome], bool]:
    """Read the sessions that are open, or were closed without certainty: one call in the usual case."""
    outcomes: dict[str, SessionOutcome] = {}
    for key, attempt in payment.attempts.items():
        if attempt.status not in {"open", "unresolved"} or attempt.stripe_checkout_session_id is None:
            continue
        try:
            session = stripe_api.retrieve_checkout_session(attempt.stripe_checkout_session_id)
        except StripeUnavailable:
            return outcomes, False
        outcomes[key] = assess_session(attempt, session, datetime.now(UTC))
    return outcomes, True
