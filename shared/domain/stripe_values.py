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


class BalanceTransaction(Value):
    """Money that moved on the Stripe account; `amount`, `fee` and `net` are in the currency of the balance.

    `category` is Stripe's reporting category: `charge`, `refund`, `refund_failure`, `dispute`, `dispute_reversal`,
    `fee`, `payout` and others. The `source_…` fields are of the charge, refund or dispute that moved the money, where
    it is one: its amount in its own currency (upper case), and its status.
    """

    id: str
    category: str
    amount: int
    fee: int
    net: int
    currency: str
    created: Instant
    available_on: Instant
    source: str | None = None
    payment_intent: str | None = None
    source_amount: int | None = None
    source_currency: str | None = None
    source_status: str | None = None
    metadata: Mapping[str, str] = {}
