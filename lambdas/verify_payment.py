"""State VerifyPayment: ask Stripe about the sessions that may have brought money, and decide what comes next.

Changes: what was found is written to the payment item (`attempts`, `captures`).
Safe to run twice: at Stripe it only reads, a capture once recorded is never replaced, and the verdict is a pure
function of what was read.
"""

from datetime import UTC, datetime
from typing import Any

from shared import domain, payments, store
from shared.contracts import VerifyPaymentInput
from shared.errors import StripeUnavailable
from shared.models import Payment
from shared.observability import entry_point
from shared.verdicts import conclude, payment_of


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the verdict; a Stripe that does not answer is `unknown`. Raises StoreBusy, StripeRefused."""
    request = VerifyPaymentInput.model_validate(event)
    booking = store.read_booking(request.reservation_id)
    findings, asked = _read_sessions(payment_of(booking))
    return conclude(booking, findings, request, asked=asked, closing=False).model_dump(exclude_none=True)


def _read_sessions(payment: Payment) -> tuple[dict[str, domain.Finding], bool]:
    """Read the sessions that are open, or were closed without certainty: one call in the usual case."""
    findings: dict[str, domain.Finding] = {}
    for key, attempt in payment.attempts.items():
        if attempt.status not in {"open", "abandoned"} or attempt.stripe_checkout_session_id is None:
            continue
        try:
            session = payments.retrieve_checkout_session(attempt.stripe_checkout_session_id)
        except StripeUnavailable:
            return findings, False
        findings[key] = domain.learn(attempt, session, datetime.now(UTC))
    return findings, True
