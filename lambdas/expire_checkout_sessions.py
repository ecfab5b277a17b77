"""State ExpireCheckoutSessions: close every session that may still be open, and decide the next step.

Changes: Checkout Sessions at Stripe; the payment item (`attempts`, `captures`) with what Stripe answered, `notified` if
it refuses.
Safe to run twice: when a session is closed already, it is read instead, and if it was paid in the meantime the money
is recorded.
"""

from typing import Any

from shared.adapters import bookings
from shared.contracts.states import ExpireCheckoutSessionsInput
from shared.domain.attempts import AttemptKey
from shared.domain.booking import payment_of
from shared.domain.ids import checkout_key
from shared.domain.models import UNCLOSED, Payment
from shared.domain.session_outcomes import SessionOutcome
from shared.observability import entry_point
from shared.services.close_session import close_session
from shared.services.record_and_decide import ask_about, record_and_decide


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the next step: `await_stripe` when Stripe does not answer or refuses.

    Raises NotificationFailed, StoreBusy.
    """
    request = ExpireCheckoutSessionsInput.model_validate(event)
    booking = bookings.read_booking(request.reservation_id)
    outcomes, asked = _close_sessions(payment_of(booking))
    return record_and_decide(booking, outcomes, request, asked=asked, closing=True).model_dump(exclude_none=True)


def _close_sessions(payment: Payment) -> tuple[dict[AttemptKey, SessionOutcome], bool]:
    """Close the sessions, and return their outcomes and whether Stripe answered for all of them."""
    unclosed = {
        key: attempt
        for key, attempt in payment.attempts.items()
        if attempt.status in UNCLOSED or payment.undecided(attempt)
    }
    return ask_about(
        payment, unclosed, lambda key, attempt: close_session(attempt, checkout_key(payment.payment_id, key))
    )
