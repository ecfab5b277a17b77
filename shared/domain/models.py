"""The stored items and Stripe's objects as frozen values; amounts are integer cents, times are UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.domain.matter_kinds import MatterKind
from shared.domain.refund_policy import AppliedPolicy, RefundPolicy


def iso(moment: datetime) -> str:
    """A time as text, always in the form `2026-11-24T15:00:00.000Z`, which sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional_iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Instant = Annotated[datetime, BeforeValidator(_instant)]

PaymentStatus = Literal["pending", "completed", "expired", "partially_refunded", "refunded"]
AttemptStatus = Literal["opening", "open", "paid", "closed", "unresolved"]
Awaiting = Literal["payment", "retry"]
CaptureRole = Literal["booking", "unapplied"]
RefundKind = Literal["cancellation", "goodwill", "unapplied", "dashboard"]
StripeRefundStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
RefundState = Literal["none", "pending", "failed", "settled"]
RefundStatus = Literal[StripeRefundStatus, "settled_elsewhere"]

# The session of such an attempt may still be payable, or may have been paid.
UNCLOSED: frozenset[str] = frozenset({"opening", "open", "unresolved"})
# The money of such a refund is back with the guest, or on its way.
SETTLED: frozenset[str] = frozenset({"succeeded", "settled_elsewhere"})
PENDING: frozenset[str] = frozenset({"pending", "requires_action"})
# Such a refund has returned nothing, or has taken it back.
FAILED: frozenset[str] = frozenset({"failed", "canceled"})
RESTARTS = 5  # without progress, before operators are notified


class Value(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class Attempt(Value):
    """One Checkout Session, stored before it is requested.

    `parameters` is the JSON text sent to Stripe, empty once the session is published or has ended. `deadline` is the
    end of our checkout window, `checkout_expires_at` when Stripe expires the session. `counted` becomes 1 when its URL
    is published. `declines` maps charge ids to decline codes.
    """

    status: AttemptStatus
    counted: int = 0
    amount: int
    parameters: str = ""
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


class FraudWarning(Value):
    """A card network's early warning; `fraud_type` is Stripe's word, such as `unauthorized_use_of_card`."""

    id: str
    fraud_type: str
    warned_at: Instant


class Capture(Value):
    """Money that Stripe has taken from the guest; `refundable` is the part that no refund has reserved."""

    amount: int
    currency: str
    session: str
    charge: str | None = None
    captured_at: Instant
    refundable: int
    role: CaptureRole | None = None
    fraud_warning: FraudWarning | None = None


class Refund(Value):
    """One entry of the refund ledger, stored under its refund id.

    `attempt` (stored as `try`) numbers the attempts at Stripe; `execution` is the execution that handles it now.
    """

    model_config = ConfigDict(populate_by_name=True)

    kind: RefundKind
    payment_intent: str
    amount: int
    status: RefundStatus
    attempt: int = Field(default=1, alias="try")
    stripe_refund_id: str | None = None
    reason: str | None = None
    reason_public: bool | None = None
    requested_by: str | None = None
    policy: AppliedPolicy | None = None
    created_at: Instant
    settled_at: Instant | None = None
    failure_reason: str | None = None
    note: str | None = None
    answered_by: str | None = None
    awaiting: Literal["settlement", "operator"] | None = None
    execution: str | None = None
    task_token: str | None = None
    token_sequence: int | None = None
    check_requested_at: Instant | None = None

    @property
    def reason_for_guest(self) -> str | None:
        """The reason that the guest may read: not an operator's, unless it is marked public."""
        private = (self.requested_by or "").startswith("operator") and not self.reason_public
        return None if private else self.reason

    @property
    def unsettled(self) -> bool:
        """Whether it still reserves money: a refund that failed in Stripe's dashboard never reserved any."""
        return self.status in PENDING or (self.status == "failed" and self.kind != "dashboard")


class RefundReason(Value):
    """What a person wrote about a refund that is not reserved yet; only their own refund takes it over."""

    text: str
    requested_by: str


class Dispute(Value):
    """A chargeback or an inquiry; `closed_at` is set once the bank has decided.

    `due_by` is when Stripe wants our answer; `escalated_by` is the event that turned the inquiry into a dispute, or a
    lost dispute into an appeal.
    """

    status: str
    payment_intent: str
    amount: int
    reason: str | None = None
    opened_at: Instant
    closed_at: Instant | None = None
    due_by: Instant | None = None
    escalated_by: str | None = None

    @property
    def inquiry(self) -> bool:
        """Whether the bank only asks: it has taken nothing, and Stripe still refunds."""
        return self.status.startswith("warning_")

    @property
    def blocks_refunds(self) -> bool:
        """Whether it is an open dispute, or one in which the bank has already taken the money back."""
        return not self.inquiry and (self.closed_at is None or self.status in {"lost", "prevented"})


class Replacement(Value):
    """The newest replacement of an execution, which the payment stores under the refund's id or under `payment`.

    `step` counts the restarts since the execution last made progress, and `progress` is what it had reached by then.
    `start_at` is set until the replacement is known to run; a refund's has its `execution_input` for as long.
    """

    number: int
    step: int
    progress: str
    start_at: Instant | None = None
    execution_input: str | None = None

    @property
    def exhausted(self) -> bool:
        """Whether five restarts have led no further, and the next one is planned."""
        return self.step >= RESTARTS and self.start_at is not None


class Matter(Value):
    """Something about a payment that needs a person; `subject` is the refund, dispute, session or charge.

    `detail` says in words what a ledger mismatch is, on both sides.
    """

    kind: MatterKind
    subject: str | None = None
    since: Instant
    amount: int | None = None
    deadline: Instant | None = None
    detail: str | None = None


class Payment(Value):
    """A booking's item in the table payments; a replacement execution continues from what it holds.

    `notified` names what operators were notified of, so that it happens once. `refund_policy` was agreed when the first
    session was opened. `check_in` and `check_out` are dates, kept for a reservation that is deleted. `due_at` and
    `due_shard` are the keys of the index by which the reconciler finds what is due.
    `attention` holds the open matters, and `attention_since` puts the payment into the operators' queue.
    """

    payment_id: str
    reservation_id: str
    status: PaymentStatus
    amount: int | None = None
    currency: str = "EUR"
    customer_id: str | None = None
    check_in: str | None = None
    check_out: str | None = None
    attempts: Mapping[str, Attempt] = {}
    current_attempt: str | None = None
    attempts_granted: int = 0
    captures: Mapping[str, Capture] = {}
    refunds: Mapping[str, Refund] = {}
    refund_reasons: Mapping[str, RefundReason] = {}
    refund_amount: int = 0
    refund_pending_amount: int = 0
    disputes: Mapping[str, Dispute] = {}
    awaiting: Awaiting | None = None
    task_token: str | None = None
    token_sequence: int | None = None
    hold_expires_at: Instant
    refund_policy: RefundPolicy | None = None
    success_url: str
    cancel_url: str
    cancel_requested_at: Instant | None = None
    cancel_requested_by: str | None = None
    replacements: Mapping[str, Replacement] = {}
    attention: Mapping[str, Matter] = {}
    attention_since: Instant | None = None
    checks_after_release: int = 0
    due_at: Instant | None = None
    due_shard: str | None = None
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
    def attempts_in_order(self) -> list[tuple[str, Attempt]]:
        """The attempts by their number, the first one first."""
        return sorted(self.attempts.items(), key=lambda entry: int(entry[0]))

    @property
    def refunds_in_order(self) -> list[tuple[str, Refund]]:
        """The refunds, the oldest first."""
        return sorted(self.refunds.items(), key=lambda entry: entry[1].created_at)

    @property
    def own_capture(self) -> tuple[str, Capture] | None:
        """The capture that paid for the booking, with its PaymentIntent's id."""
        return next(((pi, capture) for pi, capture in self.captures.items() if capture.role == "booking"), None)

    @property
    def restarts(self) -> int:
        """How often the booking's execution was replaced."""
        return self.replacements["payment"].number if "payment" in self.replacements else 0

    def undecided(self, attempt: Attempt) -> bool:
        """Whether the attempt was paid, and its money may still confirm the booking."""
        session = attempt.stripe_checkout_session_id
        unassigned = {capture.session for capture in self.captures.values() if capture.role is None}
        return self.status == "pending" and attempt.status == "paid" and session in unassigned

    def attempt_of(self, session_id: str) -> str | None:
        """The key of the attempt whose Checkout Session this is."""
        found = (key for key, attempt in self.attempts.items() if attempt.stripe_checkout_session_id == session_id)
        return next(found, None)

    def whole(self, pi: str) -> bool:
        """Whether nothing of a capture is returned, under way, reserved for a refund or taken by a dispute."""
        capture = self.captures[pi]
        return capture.refundable == capture.amount and not self.disputed(pi)

    def disputed(self, pi: str) -> bool:
        """Whether a dispute blocks refunds of this PaymentIntent."""
        return any(dispute.payment_intent == pi and dispute.blocks_refunds for dispute in self.disputes.values())
