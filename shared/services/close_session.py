"""Closing the Checkout Session of one attempt for good, even if nobody knows whether it exists."""

from datetime import UTC, datetime

from shared.adapters import stripe_api
from shared.domain.attempts import KEY_REMEMBERED
from shared.domain.errors import StripeRefused
from shared.domain.models import Attempt
from shared.domain.session_outcomes import SessionOutcome, assess_session, never_opened


def close_session(attempt: Attempt, idempotency_key: str) -> SessionOutcome:
    """Expire the attempt's session, and return what became of it. Raises StripeUnavailable, StripeRefused.

    If Stripe's answer to the create was lost, the request is repeated under its key to find the session. Its URL was
    never published, so nobody can have paid.
    """
    session_id = attempt.stripe_checkout_session_id
    if session_id is None:
        now = datetime.now(UTC)
        if not attempt.parameters or now > attempt.opened_at + KEY_REMEMBERED:
            return never_opened(attempt, "unpublished", now)
        try:
            session_id = stripe_api.create_checkout_session(attempt.parameters, idempotency_key=idempotency_key).id
        except StripeRefused:
            return never_opened(attempt, "never_opened", now)
    paid = attempt.status == "paid"
    end = stripe_api.retrieve_checkout_session if paid else stripe_api.expire_checkout_session
    return assess_session(attempt, end(session_id), datetime.now(UTC))
