"""What is stored and what Stripe says, as frozen values. Amounts are integer euro cents, times are UTC."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_NIGHTS = 90  # a transaction has 100 items at most; two are the reservation and the payment


def iso(moment: datetime) -> str:
    """`2026-11-24T15:00:00.000Z`: the one way in which times are written; it sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _day(value: Any) -> Any:
    return date.fromisoformat(value[:10]) if isinstance(value, str) else value


Instant = Annotated[datetime, BeforeValidator(_instant)]
Day = Annotated[date, BeforeValidator(_day)]

PaymentStatus = Literal["pending", "completed", "expired", "partially_refunded", "refunded"]
AttemptStatus = Literal["opening", "open", "paid", "closed", "unresolved"]
Awaiting = Literal["payment", "retry"]
CaptureRole = Literal["booking", "unapplied"]

# A session of such an attempt may still be payable or paid.
UNCLOSED: frozenset[str] = frozenset({"opening", "open", "unresolved"})


class Value(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Reservation(Value):
    """The booking platform's item (table reservations); `check_out` is exclusive."""

    reservation_id: str
    customer_id: str
    customer_email: str | None = None
    check_in: Day
    check_out: Day
    status: Literal["pending", "confirmed", "cancelled", "expired", "completed"]
    payment_id: str | None = None
    total_amount: int
    created_at: Instant

    @property
    def nights(self) -> list[str]:
        """The dates that the stay occupies, ISO-8601, at most 90."""
        count = (self.check_out - self.check_in).days
        if not 1 <= count <= MAX_NIGHTS:
            raise ValueError(f"reservation {self.reservation_id}: {count} nights, must be 1 to {MAX_NIGHTS}")
        return [(self.check_in + timedelta(days=n)).isoformat() for n in range(count)]


class Attempt(Value):
    """One checkout session, from before it was asked for.

    `parameters` is the JSON text sent to Stripe, `deadline` the end of our window, `checkout_expires_at` Stripe's.
    It is counted once its URL was published; `declines` maps charge ids to decline codes.
    """

    status: AttemptStatus
    counted: int = 0
    amount: int
    parameters: str
    opened_at: Instant
    deadline: Instant
    stripe_checkout_session_id: str | None = None
    checkout_url: str | None = None
    checkout_expires_at: Instant | None = None
    closed_at: Instant | None = None
    close_reason: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    declines: Mapping[str, str] = {}
    refreshes: int = 0
    refreshed_at: Instant | None = None


class Capture(Value):
    """Money that Stripe has taken from the guest; `refundable` is what no refund has reserved yet."""

    amount: int
    currency: str
    session: str
    charge: str | None = None
    captured_at: Instant
    refundable: int
    role: CaptureRole | None = None


RefundKind = Literal["cancellation", "goodwill", "unapplied", "dashboard"]
RefundStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled", "settled_elsewhere"]


RefundPolicy = Literal["full_refund", "partial_refund_50", "manual_refund"]

# Money that has gone back, money that is on its way.
SETTLED: frozenset[str] = frozenset({"succeeded", "settled_elsewhere"})
PENDING: frozenset[str] = frozenset({"pending", "requires_action"})


class Refund(Value):
    """One entry of the ledger, under its refund id; `attempt` (stored as `try`) numbers the tries at Stripe.

    `execution` is the one that deals with it now.
    """

    model_config = ConfigDict(populate_by_name=True)

    kind: RefundKind
    payment_intent: str
    amount: int
    status: RefundStatus
    attempt: int = Field(default=1, alias="try")
    stripe_refund_id: str | None = None
    reason: str | None = None
    requested_by: str | None = None
    policy: RefundPolicy | None = None
    created_at: Instant
    settled_at: Instant | None = None
    failure_reason: str | None = None
    note: str | None = None
    awaiting: Literal["settlement", "operator"] | None = None
    execution: str | None = None
    task_token: str | None = None
    token_sequence: int | None = None
    check_requested_at: Instant | None = None

    @property
    def unsettled(self) -> bool:
        """Under way, or waiting for a person; what failed in Stripe's dashboard has reserved nothing of ours."""
        return self.status in PENDING or (self.status == "failed" and self.kind != "dashboard")


class Dispute(Value):
    """A chargeback; `closed_at` once the bank has decided (`won`, `lost`, `warning_closed`, …)."""

    status: str
    payment_intent: str
    amount: int
    reason: str | None = None
    opened_at: Instant
    closed_at: Instant | None = None

    @property
    def blocks_refunds(self) -> bool:
        """While it is open, and once it is lost: then the bank has taken the money back already."""
        return self.closed_at is None or self.status == "lost"


class Payment(Value):
    """The item of a booking's payment (table payments): the memory from which an execution can start anew.

    `notified`: what operators were told of once and shall not be told again.
    """

    payment_id: str
    reservation_id: str
    status: PaymentStatus
    amount: int | None = None
    currency: str = "EUR"
    customer_id: str | None = None
    attempts: Mapping[str, Attempt] = {}
    current_attempt: str | None = None
    attempts_granted: int = 0
    captures: Mapping[str, Capture] = {}
    refunds: Mapping[str, Refund] = {}
    refund_reasons: Mapping[str, str] = {}
    refund_amount: int = 0
    refund_pending_amount: int = 0
    disputes: Mapping[str, Dispute] = {}
    awaiting: Awaiting | None = None
    task_token: str | None = None
    token_sequence: int | None = None
    hold_expires_at: Instant
    success_url: str
    cancel_url: str
    cancel_requested_at: Instant | None = None
    cancel_requested_by: str | None = None
    restarts: int = 0
    checks_after_release: int = 0
    stripe_payment_intent_id: str | None = None
    created_at: Instant
    updated_at: Instant
    completed_at: Instant | None = None
    refunded_at: Instant | None = None
    error_message: str | None = None
    notified: set[str] | None = None  # DynamoDB has no empty set

    @property
    def current(self) -> Attempt | None:
        return self.attempts.get(self.current_attempt) if self.current_attempt else None

    @property
    def own_capture(self) -> tuple[str, Capture] | None:
        """The PaymentIntent and the capture that paid for the booking."""
        return next(((pi, capture) for pi, capture in self.captures.items() if capture.role == "booking"), None)

    def disputed(self, pi: str) -> bool:
        return any(dispute.payment_intent == pi and dispute.blocks_refunds for dispute in self.disputes.values())


class Booking(Value):
    """A reservation with its payment, read consistently; `held` are those of its nights that are still its own."""

    reservation: Reservation
    payment: Payment | None
    held: frozenset[str]

    @property
    def nights_held(self) -> bool:
        return self.held == set(self.reservation.nights)


# What Stripe says.


class PaymentIntent(Value):
    id: str
    status: str
    amount_received: int
    currency: str
    charge: str | None = None
    captured_at: Instant | None = None
    decline_code: str | None = None
    decline_message: str | None = None
    metadata: Mapping[str, str] = {}


class CheckoutSession(Value):
    id: str
    status: Literal["open", "complete", "expired"]
    payment_status: str
    url: str | None
    expires_at: Instant
    payment_intent: PaymentIntent | None = None


class StripeRefund(Value):
    id: str
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
    amount: int
    failure_reason: str | None = None
    metadata: Mapping[str, str] = {}


def to_item(model: BaseModel) -> dict[str, Any]:
    """The model as DynamoDB and JSON take it: names as stored, times as text, what is None left out."""
    return {name: _plain(value) for name, value in model.model_dump(exclude_none=True, by_alias=True).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return {name: _plain(inner) for name, inner in value.items()} if isinstance(value, dict) else value
