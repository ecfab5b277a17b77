"""What both verdict states do once they have asked Stripe: write what was found, then decide."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared import domain, store
from shared.contracts import OpenedAttempt, VerdictOutput, VerifyPaymentInput
from shared.models import Booking, Payment
from shared.observability import count, logger
from shared.settings import settings


def payment_of(booking: Booking) -> Payment:
    """The booking's payment item, which RecordPayment has written before any other state. Raises LookupError."""
    if booking.payment is None:
        raise LookupError(f"no payment item for reservation {booking.reservation.reservation_id}")
    return booking.payment


def conclude(
    booking: Booking,
    findings: Mapping[domain.AttemptKey, domain.Finding],
    request: VerifyPaymentInput,
    *,
    asked: bool,
    closing: bool,
) -> VerdictOutput:
    """Record the findings and answer with the verdict (domain.verdict). Raises StoreBusy."""
    now = datetime.now(UTC)
    before = payment_of(booking)
    store.record_findings(before, findings, now=now)
    payment = domain.merged(before, findings)
    decided = domain.verdict(
        booking.model_copy(update={"payment": payment}),
        findings,
        handed_over=request.handed_over,
        asked=asked,
        closing=closing,
        window=timedelta(seconds=settings().checkout_window_seconds),
        now=now,
    )
    current = payment.current
    reason = (current and (current.failure_code or current.close_reason)) or "none"
    logger.info("verdict", verdict=decided.name, stripe_payment_intent_id=decided.payment_intent, why=reason)
    count("Verdicts", verdict=decided.name)
    return VerdictOutput(
        verdict=decided.name,
        reason=reason,
        payment_intent=decided.payment_intent,
        attempt=OpenedAttempt.published(payment) if decided.name == "open" else None,
    )
