"""Request and response bodies of the HTTP routes (docs/integration.md). Unknown fields are refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from shared.contracts.states import Contract, ReservationId
from shared.domain.api_errors import ApiError
from shared.domain.booking import EndReason
from shared.domain.models import (
    Attempt,
    AttemptStatus,
    PaymentStatus,
    Refund,
    RefundKind,
    RefundState,
    RefundStatus,
    iso,
    optional_iso,
)
from shared.domain.refund_policy import AppliedPolicy, RefundPolicy

CheckoutUrl = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class CheckoutSessionRequest(Contract):
    """POST /payments/checkout-session."""

    reservation_id: ReservationId
    success_url: CheckoutUrl | None = None
    cancel_url: CheckoutUrl | None = None


class EmptyRequest(Contract):
    """A body without fields, which may be left out."""


class RefundRequest(Contract):
    """POST /payments/{id}/refund; `amount` in cents. `accept_no_refund` cancels even where the policy gives nothing.

    The guest sees an operator's `reason` only with `reason_public`.
    """

    amount: Annotated[int, Field(ge=1)] | None = None
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None
    kind: Literal["cancellation", "goodwill"] = "cancellation"
    accept_no_refund: bool = False
    reason_public: bool = False


class ResolutionRequest(Contract):
    """POST /payments/{id}/refunds/{refund_id}/resolution."""

    answer: Literal["retry", "settled_elsewhere"]
    note: Annotated[str, StringConstraints(max_length=500)] | None = None


class CheckoutSessionResponse(Contract):
    """The Checkout Session to send the guest to; it is offered until `expires_at`."""

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

    @classmethod
    def of(cls, key: str, attempt: Attempt, **more: Any) -> Self:
        return cls(
            number=int(key),
            status=attempt.status,
            opened_at=iso(attempt.opened_at),
            closed_at=optional_iso(attempt.closed_at),
            declines=len(attempt.declines),
            failure_code=attempt.failure_code,
            failure_message=attempt.failure_message,
            **more,
        )


class RefundStatusResponse(Contract):
    refund_id: str
    kind: RefundKind
    status: RefundStatus
    amount: int
    reason: str | None = None
    created_at: str
    settled_at: str | None = None

    @classmethod
    def of(cls, refund_id: str, refund: Refund, **more: Any) -> Self:
        """The refund as a guest may read it, unless `more` says otherwise."""
        fields: dict[str, Any] = {
            "refund_id": refund_id,
            "kind": refund.kind,
            "status": refund.status,
            "amount": refund.amount,
            "reason": refund.reason_for_guest,
            "created_at": iso(refund.created_at),
            "settled_at": optional_iso(refund.settled_at),
        }
        return cls(**fields | more)


class PaymentStatusResponse(Contract):
    """GET /payments/{id}/status; a cancelled stay whose refund failed has `refund_state` `failed`.

    `expires_at` is when the session at `checkout_url` ends. Without `poll_after_seconds` nothing more will happen by
    itself.
    """

    reservation_id: str
    payment_id: str
    status: PaymentStatus
    reservation_status: str
    amount: int
    currency: Literal["EUR"]
    has_completed_payment: bool
    is_refunded: bool
    refund_amount: int
    refund_pending_amount: int
    refund_state: RefundState
    payment_attempts: int
    attempts_left: int
    hold_expires_at: str
    can_retry: bool
    checkout_url: str | None = None
    expires_at: str | None = None
    end_reason: EndReason | None = None
    poll_after_seconds: int | None = None
    stripe_payment_intent_id: str | None = None
    completed_at: str | None = None
    refunded_at: str | None = None
    refund_policy: RefundPolicy
    attempts: list[AttemptStatusResponse]
    refunds: list[RefundStatusResponse]


class RefundResponse(Contract):
    payment_id: str
    refund_id: str
    stripe_refund_id: str | None = None
    amount: int
    status: RefundStatus
    refund_policy: AppliedPolicy
    original_amount: int
    refunded_at: str | None = None


class RefundQuoteResponse(Contract):
    """What a cancellation gives back now; at `changes_at` it becomes `next_amount`, which both lack if it is final."""

    reservation_id: str
    payment_id: str
    amount: int
    currency: Literal["EUR"]
    policy: AppliedPolicy
    original_amount: int
    days_until_checkin: int
    changes_at: str | None = None
    next_amount: int | None = None
    refund_policy: RefundPolicy
    terms: str


class ErrorResponse(Contract):
    """Every error has this shape; `details` is present if there is more to say about the request."""

    success: Literal[False] = False
    error_code: str
    message: str
    recovery: str
    details: dict[str, object] | None = None

    @classmethod
    def of(cls, error: ApiError) -> Self:
        answer = error.answer
        return cls(error_code=answer.code, message=answer.message, recovery=answer.recovery, details=error.details)


class WebhookResponse(Contract):
    received: Literal[True] = True
    event_id: str
    event_type: str
    processing_result: Literal["success", "duplicate", "skipped"]
    message: str
