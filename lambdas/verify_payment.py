"""State VerifyPayment: ask Stripe about the sessions that may have been paid, and decide the next step.

Changes: the payment item (`attempts`, `captures`) with what Stripe answered, `notified` if it refuses.
Safe to run twice: it only reads from Stripe, never replaces a recorded capture, and decides by a pure function of what
it read.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import bookings, stripe_api
from shared.contracts.states import VerifyPaymentInput
from shared.domain.attempts import AttemptKey
from shared.domain.booking import payment_of
from shared.domain.models import Attempt, Payment
from shared.domain.session_outcomes import SessionOutcome, assess_session
from shared.observability import entry_point
from shared.services.record_and_decide import ask_about, record_and_decide


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the next step: `await_stripe` when Stripe does not answer or refuses.

    Raises NotificationFailed, StoreBusy.
    """
    request = VerifyPaymentInput.model_validate(event)
    booking = bookings.read_booking(request.reservation_id, nights=False)
    outcomes, asked = _read_sessions(payment_of(booking))
    if not any(outcome.paid_by for outcome in outcomes.values()):
        booking = bookings.with_held_nights(booking)  # of a paid booking, ConfirmReservation checks them
    return record_and_decide(booking, outcomes, request, asked=asked, closing=False).model_dump(exclude_none=True)


def _read_sessions(payment: Payment) -> tuple[dict[AttemptKey, SessionOutcome], bool]:
    """Read the sessions that matter, usually one; return whether Stripe answered for all of them, too.

    They are the open and unresolved ones, and those whose money may still confirm the booking: a part of it may have
    been returned since it was recorded.
    """
    read = {
        key: attempt
        for key, attempt in payment.attempts.items()
        if attempt.stripe_checkout_session_id is not None
        and (attempt.status in {"open", "unresolved"} or payment.undecided(attempt))
    }
    return ask_about(payment, read, _read_session)


def _read_session(_: AttemptKey, attempt: Attempt) -> SessionOutcome:
    session = stripe_api.retrieve_checkout_session(attempt.stripe_checkout_session_id or "")
    return assess_session(attempt, session, datetime.now(UTC))
