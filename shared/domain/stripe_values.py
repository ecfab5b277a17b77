"""Stripe's objects as frozen values, reduced to the fields that we read; amounts are integer cents."""

from collections.abc import Mapping
from typing import Literal

from shared.domain.models import Instant, StripeRefundStatus, Value


class StripeRefund(Value):
    id: str
    payment_intent: str
    status: StripeRefundStatus
    amount: int
    failure_reason: str | None = None
    metadata: Mapping[str, str] = {}


class PaymentIntent(Value):
    """`refunds` and `disputed` are of its latest charge, where that is expanded."""

    id: str
    status: str
    amount_received: int
    currency: str
    charge: str | None = None
    captured_at: Instant | None = None
    decline_code: str | None = None
    decline_message: str | None = None
    metadata: Mapping[str, str] = {}
    refunds: tuple[StripeRefund, ...] = ()
    disputed: bool = False


class CheckoutSession(Value):
    id: str
    status: Literal["open", "complete", "expired"]
    payment_status: str
    url: str | None
    expires_at: Instant
    payment_intent: PaymentIntent | None = None
    metadata: Mapping[str, str] = {}
