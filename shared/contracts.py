"""What goes in and out of the states and the HTTP routes (docs/integration.md). Unknown fields are refused."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.models import AttemptStatus, Payment, PaymentStatus, RefundKind, RefundPolicy, RefundStatus, iso

RESERVATION_ID = re.compile(r"[0-9A-Za-z_-]{1,60}")

# Stripe's ids are shorter; ours are made of them (an execution's name is 80 characters at most).
STRIPE_ID = re.compile(r"[0-9A-Za-z_]{1,64}")

ReservationId = Annotated[str, StringConstraints(pattern=f"^{RESERVATION_ID.pattern}$")]
StripeId = Annotated[str, StringConstraints(pattern=f"^{STRIPE_ID.pattern}$")]


class Contract(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


# States. Ids and times only: what the console shows must hold no e-mail address and no secret.


class StateInput(Contract):
    """What every state tells its function; `execution` is for the logs, and for a refund's entry."""

    reservation_id: ReservationId
    payment_id: str
    execution: str


class CreateCheckoutSessionInput(StateInput):
    pass


class OpenedAttempt(Contract):
    """An attempt whose session exists at Stripe; `AwaitPayment` publishes it. Times are ISO-8601."""

    key: str
    session_id: str
    checkout_url: str
    checkout_expires_at: str
    deadline: str

    @classmethod
    def published(cls, payment: Payment) -> Self | None:
        """The current attempt, when its URL is published and its session not known to be closed."""
        key, attempt = payment.current_attempt, payment.current
        if key is None or attempt is None or attempt.status != "open":
            return None
        if not (attempt.stripe_checkout_session_id and attempt.checkout_url and attempt.checkout_expires_at):
            return None
        return cls(
            key=key,
            session_id=attempt.stripe_checkout_session_id,
            checkout_url=attempt.checkout_url,
            checkout_expires_at=iso(attempt.checkout_expires_at),
            deadline=iso(attempt.deadline),
        )


class VerifyPaymentInput(StateInput):
    """`handed_over`: the PaymentIntents that this execution has given to a refund workflow."""

    handed_over: list[str]


class ExpireCheckoutSessionsInput(VerifyPaymentInput):
    pass


class VerdictOutput(Contract):
    """`attempt` with the verdict `open`, `payment_intent` with `paid` and `unusable`, `reason` always."""

    verdict: Literal["unusable", "paid", "unknown", "close", "release", "open", "create", "retry"]
    reason: str
    payment_intent: str | None = None
    attempt: OpenedAttempt | None = None


class ConfirmReservationInput(StateInput):
    payment_intent: str | None = None


class ReleaseHoldInput(StateInput):
    pass


class ReleaseHoldOutput(Contract):
    """For the announcement: the `nights` of the stay that was given up, as dates."""

    nights: list[str]


class ConfirmReservationOutput(Contract):
    amount: int
    currency: str


class RefundOrder(Contract):
    """The input of a refund's execution; `amount` in cents, left out for an unusable capture (all of it)."""

    refund_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,80}$")]
    reservation_id: ReservationId
    payment_id: str
    kind: Literal["cancellation", "goodwill", "unusable"]
    payment_intent: str
    amount: int | None = None
    policy: RefundPolicy | None = None
    requested_by: Literal["guest", "operator", "workflow", "webhook"]


class ReserveRefundInput(RefundOrder):
    execution: str


class CreateRefundInput(StateInput):
    """`attempt` rises when an operator lets a failed refund be tried again."""

    refund_id: str
    attempt: int


class CheckRefundInput(StateInput):
    refund_id: str


class RefundOutput(Contract):
    """How the refund stands at Stripe, or in the ledger once a person has settled it."""

    status: RefundStatus
    amount: int
    stripe_refund_id: str | None = None
    failure_reason: str | None = None


class RecordRefundInput(StateInput):
    """What the states RecordRefund, RecordRefundFailure and RecordSettledElsewhere enter into the ledger."""

    refund_id: str
    outcome: Literal["succeeded", "failed", "settled_elsewhere"]
    stripe_refund_id: str | None = None
    failure_reason: str | None = None


class RecordRefundOutput(Contract):
    """`attempt` is the number of the last try at Stripe that the ledger knows."""

    amount: int
    payment_status: str
    attempt: int


# Routes.

CheckoutUrl = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class CheckoutSessionRequest(Contract):
    """POST /payments/checkout-session."""

    reservation_id: ReservationId
    success_url: CheckoutUrl | None = None
    cancel_url: CheckoutUrl | None = None


class EmptyRequest(Contract):
    """A body that is optional and has no fields."""


class RefundRequest(Contract):
    """POST /payments/{id}/refund; `amount` in cents."""

    amount: Annotated[int, Field(ge=1)] | None = None
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None
    kind: Literal["cancellation", "goodwill"] = "cancellation"


class ResolutionRequest(Contract):
    """POST /payments/{id}/refunds/{refund_id}/resolution."""

    answer: Literal["retry", "settled_elsewhere"]
    note: Annotated[str, StringConstraints(max_length=500)] | None = None


class CheckoutSessionResponse(Contract):
    """The session that is open now; `expires_at` is when our window ends."""

    payment_id: str
    reservation_id: str
    checkout_session_id: str
    checkout_url: str
    expires_at: str
    amount: int
    currency: Literal["EUR"]
    attempt_number: int
    attempts_left: int
    hold_expires_at: str


class AttemptStatusResponse(Contract):
    number: int
    status: AttemptStatus
    opened_at: str
    closed_at: str | None = None
    declines: int
    failure_code: str | None = None
    failure_message: str | None = None


class RefundStatusResponse(Contract):
    refund_id: str
    kind: RefundKind
    status: RefundStatus
    amount: int
    reason: str | None = None
    created_at: str
    settled_at: str | None = None


class PaymentStatusResponse(Contract):
    """GET /payments/{id}/status."""

    reservation_id: str
    payment_id: str
    status: PaymentStatus
    amount: int
    currency: Literal["EUR"]
    has_completed_payment: bool
    is_refunded: bool
    refund_amount: int
    refund_pending_amount: int
    payment_attempts: int
    attempts_left: int
    hold_expires_at: str
    can_retry: bool
    checkout_url: str | None = None
    stripe_payment_intent_id: str | None = None
    completed_at: str | None = None
    refunded_at: str | None = None
    attempts: list[AttemptStatusResponse]
    refunds: list[RefundStatusResponse]


class RefundResponse(Contract):
    payment_id: str
    refund_id: str
    stripe_refund_id: str | None = None
    amount: int
    status: RefundStatus
    refund_policy: RefundPolicy
    original_amount: int
    refunded_at: str | None = None


class ErrorResponse(Contract):
    """The one error shape."""

    success: Literal[False] = False
    error_code: str
    message: str
    recovery: str
    details: dict[str, object] | None = None


class WebhookResponse(Contract):
    received: Literal[True] = True
    event_id: str
    event_type: str
    processing_result: Literal["success", "duplicate", "skipped"]
    message: str


# Stripe.


class StripeEventData(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    object: dict[str, Any]


class StripeEvent(BaseModel):
    """The envelope of a webhook event; what it does not name is Stripe's business and may change.

    `created` is in seconds since 1970.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^evt_[0-9A-Za-z_]{1,200}$")]
    type: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    created: int = 0
    data: StripeEventData

    @property
    def object(self) -> dict[str, Any]:
        return self.data.object

    @property
    def metadata(self) -> dict[str, str]:
        """Texts only: what else stands there is not ours."""
        metadata = self.object.get("metadata")
        if not isinstance(metadata, dict):
            return {}
        return {name: value for name, value in metadata.items() if isinstance(value, str)}

    @property
    def payment_intent(self) -> str | None:
        """The PaymentIntent's id, whether the object is one or refers to one; None for what cannot be one."""
        of = (
            self.object.get("id")
            if self.object.get("object") == "payment_intent"
            else self.object.get("payment_intent")
        )
        return of if isinstance(of, str) and STRIPE_ID.fullmatch(of) else None

    @property
    def checkout_session(self) -> str | None:
        of = self.object.get("id") if self.object.get("object") == "checkout.session" else None
        return of if isinstance(of, str) else None


class StripeDecline(BaseModel):
    """Why a card was declined."""

    model_config = ConfigDict(strict=True, frozen=True)

    decline_code: str | None = None
    code: str | None = None
    message: str | None = None


class StripeDeclinedObject(BaseModel):
    """The PaymentIntent in a `payment_intent.payment_failed` event."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: StripeId
    latest_charge: StripeId | None = None
    last_payment_error: StripeDecline | None = None


class StripeRefundObject(BaseModel):
    """The Refund in a `refund.*` event; `amount` in cents."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: StripeId
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]
    amount: int
    payment_intent: StripeId
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None


class StripeDisputeObject(BaseModel):
    """The Dispute in a `charge.dispute.*` event; `amount` in cents."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: StripeId
    status: str
    amount: int
    payment_intent: StripeId
    reason: str | None = None
