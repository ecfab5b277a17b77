"""What Stripe has taken and returned, recorded where no event has done so."""

from datetime import UTC, datetime

from shared.adapters import payment_items, stripe_api
from shared.domain.errors import NotRefundable
from shared.domain.models import FAILED, Payment
from shared.domain.session_outcomes import capture_of
from shared.domain.stripe_values import PaymentIntent
from shared.services.dashboard_refunds import record_dashboard_refund
from shared.services.dispute_entries import enter_dispute
from shared.services.ownership import prove_attempt


def record_capture(payment: Payment, pi: str) -> None:
    """Record money as Stripe has it.

    Raises NotRefundable if it belongs to no session of this payment or was not paid, StripeUnavailable, StoreBusy.
    """
    key = prove_attempt(payment, pi)
    if key is None:
        raise NotRefundable(f"{pi} belongs to no session of {payment.payment_id}")
    intent = stripe_api.retrieve_payment_intent(pi)
    if intent.status != "succeeded":
        raise NotRefundable(f"PaymentIntent {intent.status}")
    now = datetime.now(UTC)
    session = payment.attempts[key].stripe_checkout_session_id or "unknown"
    payment_items.record_capture(payment, pi, capture_of(intent, session, now), key, now=now)
    enter_returned(_read_again(payment), intent)


def enter_returned(payment: Payment, intent: PaymentIntent) -> Payment:
    """Enter refunds and disputes of a capture that was not decided about yet; return the payment as it is then.

    Their events find them entered. Raises StripeUnavailable, StoreBusy.
    """
    refunds = [refund for refund in intent.refunds if refund.status not in FAILED]
    if not refunds and not intent.disputed:
        return payment
    disputes = stripe_api.list_disputes(intent.id) if intent.disputed else []
    # Read again after Stripe was asked: what Stripe knows of a refund of ours is entered since.
    payment = _read_again(payment)
    if payment.captures[intent.id].role is not None:
        return payment
    for refund in refunds:
        record_dashboard_refund(payment, refund)
        payment = _read_again(payment)
    for dispute in disputes:
        enter_dispute(payment, dispute, event_id=None, now=datetime.now(UTC))
        payment = _read_again(payment)
    return payment


def _read_again(payment: Payment) -> Payment:
    return payment_items.read_payment(payment.payment_id) or payment
