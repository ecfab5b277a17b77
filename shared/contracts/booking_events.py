"""The events on the platform's bus (docs/integration.md, docs/events/). Amounts are in cents, times ISO 8601 in UTC.

The same fact always has the same `event_id`, however often it is published.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.booking import EndReason
from shared.domain.models import Payment, PaymentStatus, iso

Cents = Annotated[int, Field(ge=0, description="Euro cents")]
Instant = Annotated[str, Field(description="ISO 8601, UTC", json_schema_extra={"format": "date-time"})]


class EventDetail(BaseModel):
    """What every event says. A change that breaks readers raises `version`; new fields do not."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    version: Literal[1] = 1
    event_id: Annotated[str, Field(description="The same fact has the same id: use it to leave out repeats")]
    at: Instant


class BookingEvent(EventDetail):
    """What every event about a booking says."""

    reservation_id: str
    payment_id: str
    customer_id: Annotated[str | None, Field(description="The reservation's")] = None

    @classmethod
    def about(cls, payment: Payment, fact: str, at: datetime, **fields: object) -> Self:
        """The event about a payment; `fact` distinguishes it from others of its type about the same payment."""
        return cls.model_validate(
            {
                "event_id": "-".join(part for part in (cls.__name__, payment.payment_id, fact) if part),
                "at": iso(at),
                "reservation_id": payment.reservation_id,
                "payment_id": payment.payment_id,
                "customer_id": payment.customer_id,
                **fields,
            }
        )


class PaymentConfirmed(BookingEvent):
    """The booking is paid and confirmed."""

    payment_intent: str
    amount: Cents
    currency: Literal["EUR"]


class AttemptFailed(BookingEvent):
    """A Checkout Session ended without a payment; the hold goes on, and the guest may try again."""

    attempt: int
    reason: Annotated[str, Field(description="Stripe's decline code, or `expired`")]
    hold_expires_at: Instant


class HoldEnding(BookingEvent):
    """An unpaid hold ends soon; published once per booking."""

    hold_expires_at: Instant
    link: Annotated[str, Field(description="The page on which the guest can pay")]


class HoldReleased(BookingEvent):
    """A hold ended without a payment; its nights are free."""

    nights: list[str]
    reason: EndReason | None = None


class BookingCancelled(BookingEvent):
    """A paid booking was cancelled with a refund; its nights are free."""

    payment_intent: str
    refund_id: str
    refund_amount: Cents
    reason: Annotated[str | None, Field(description="A person's text")] = None


class RefundCompleted(BookingEvent):
    """The refund has succeeded, or was settled elsewhere."""

    payment_intent: str
    refund_id: str
    stripe_refund_id: str | None = None
    amount: Cents
    payment_status: PaymentStatus


class RefundFailed(BookingEvent):
    """The refund failed, perhaps after `RefundCompleted`; operators are notified."""

    payment_intent: str
    refund_id: str
    stripe_refund_id: str | None = None
    amount: Cents
    reason: str | None = None


class PaymentDisputed(BookingEvent):
    """The guest's bank disputes the payment; published again when that escalates, and when the bank has decided."""

    payment_intent: str
    dispute_id: str
    status: Annotated[str, Field(description="Stripe's: `needs_response`, `under_review`, `won`, `lost` and others")]
    amount: Cents
    reason: Annotated[str | None, Field(description="Stripe's, such as `fraudulent`")] = None
    due_by: Instant | None = None


class LedgerReconciled(EventDetail):
    """A day is reconciled with Stripe's balance transactions; published again when its result changes."""

    day: Annotated[str, Field(description="In UTC", json_schema_extra={"format": "date"})]
    transactions: Annotated[int, Field(ge=0, description="Those of this stack's bookings")]
    differences: Annotated[int, Field(ge=0, description="0: the ledger agrees with Stripe")]
    net: Annotated[dict[str, int], Field(description="By how much Stripe's balance changed, in cents by currency")]


EVENTS: dict[str, type[EventDetail]] = {
    event.__name__: event
    for event in (
        PaymentConfirmed,
        AttemptFailed,
        HoldEnding,
        HoldReleased,
        BookingCancelled,
        RefundCompleted,
        RefundFailed,
        PaymentDisputed,
        LedgerReconciled,
    )
}
"""Every event, by its detail-type."""
