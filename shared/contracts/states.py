"""Inputs and outputs of executions and of the states' functions.

They hold ids, amounts and times only: an execution's history must contain no e-mail address and no secret.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from shared.contracts.booking_events import HoldReleased, PaymentConfirmed, RefundCompleted
from shared.domain.due import due_shard
from shared.domain.models import Payment, RefundStatus, iso
from shared.domain.next_step import NextStepName
from shared.domain.refund_policy import AppliedPolicy

_ID = "[0-9A-Za-z_-]{1,60}"
# Payments and replacement executions are named `PAY-…`: no reservation may have the name of another one's.
RESERVATION_ID = re.compile(f"(?!PAY-){_ID}")
# Stripe's ids are shorter. Ours are built from them, and an execution's name has at most 80 characters.
STRIPE_ID = re.compile(r"[0-9A-Za-z_]{1,64}")


def _is_reservation_id(value: str) -> str:
    if RESERVATION_ID.fullmatch(value) is None:
        raise ValueError("is not the id of a reservation")
    return value


ReservationId = Annotated[str, StringConstraints(pattern=f"^{_ID}$"), AfterValidator(_is_reservation_id)]
RefundId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,80}$")]
# A guest or an operator, with the person's id; the entries of an earlier release lack the id.
Requester = Annotated[str, StringConstraints(pattern=r"^(workflow|webhook|(guest|operator)(:.{1,128})?)$")]
StripeId = Annotated[str, StringConstraints(pattern=f"^{STRIPE_ID.pattern}$")]


class Contract(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


# Executions.


class ExecutionInput(Contract):
    """What an execution is started with."""

    def to_json(self) -> str:
        """The input as JSON; equal inputs give equal text, so that a repeated start is idempotent."""
        return json.dumps(self.model_dump(exclude_none=True), sort_keys=True)


class PaymentExecutionInput(ExecutionInput):
    """Starts the payment workflow; times are ISO-8601."""

    reservation_id: ReservationId
    payment_id: str
    customer_id: str
    due_shard: str
    hold_expires_at: str
    success_url: str
    cancel_url: str

    @classmethod
    def of(cls, payment: Payment) -> Self:
        return cls(
            reservation_id=payment.reservation_id,
            payment_id=payment.payment_id,
            customer_id=payment.customer_id or "",
            due_shard=due_shard(payment.payment_id),
            hold_expires_at=iso(payment.hold_expires_at),
            success_url=payment.success_url,
            cancel_url=payment.cancel_url,
        )


class RefundInput(ExecutionInput):
    """Starts the refund workflow, in one of the two forms below."""

    refund_id: RefundId
    reservation_id: ReservationId
    payment_id: str

    @classmethod
    def for_payment(cls, payment: Payment, refund_id: str, **fields: object) -> Self:
        booking = {"reservation_id": payment.reservation_id, "payment_id": payment.payment_id}
        return cls.model_validate({"refund_id": refund_id, **booking, **fields})

    @staticmethod
    def parse(execution_input: Mapping[str, object]) -> "RefundExecutionInput | RefundFailureInput":
        """The input of a refund's execution that was started before."""
        form = RefundFailureInput if "failed_stripe_refund_id" in execution_input else RefundExecutionInput
        return form.model_validate(execution_input)


class RefundExecutionInput(RefundInput):
    """A refund to make; without `amount` (cents) it is all that is left of an unapplied payment."""

    kind: Literal["cancellation", "goodwill", "unapplied"]
    payment_intent: str
    amount: int | None = None
    policy: AppliedPolicy | None = None
    reason_public: bool | None = None
    requested_by: Requester

    @classmethod
    def unapplied(
        cls, payment: Payment, pi: str, refund_id: str, *, requested_by: Literal["workflow", "webhook"]
    ) -> Self:
        """All that is left of an unapplied payment."""
        return cls.for_payment(payment, refund_id, kind="unapplied", payment_intent=pi, requested_by=requested_by)

    @classmethod
    def of(cls, payment: Payment, refund_id: str) -> Self:
        """The refund as the ledger has it, for a replacement execution."""
        entry = payment.refunds[refund_id]
        fields = entry.model_dump(include={"kind", "payment_intent", "amount", "policy", "reason_public"})
        return cls.for_payment(payment, refund_id, **fields, requested_by=entry.requested_by or "workflow")


class RefundFailureInput(RefundInput):
    """A refund that failed, whether Stripe took a success back or an execution ended before it was resolved."""

    failed_stripe_refund_id: str
    failure_reason: str

    @classmethod
    def of(cls, payment: Payment, refund_id: str, *, stripe_refund_id: str | None, reason: str | None) -> Self:
        fields = {"failed_stripe_refund_id": stripe_refund_id or "", "failure_reason": reason or "unknown"}
        return cls.for_payment(payment, refund_id, **fields)


# States.


class StateInput(Contract):
    """What every state passes to its function; `execution` is its name, for the logs and the refund ledger."""

    reservation_id: ReservationId
    payment_id: str
    execution: str


class CreateCheckoutSessionInput(StateInput):
    pass


class OpenedAttempt(Contract):
    """An attempt whose session exists at Stripe, ready for `AwaitPayment` to publish; times are ISO-8601."""

    key: str
    session_id: str
    checkout_url: str
    checkout_expires_at: str
    deadline: str

    @classmethod
    def published(cls, payment: Payment) -> Self | None:
        """The current attempt if it is published and its session is not known to be closed."""
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
    """`refunds_started` are the PaymentIntents for which this execution has started a refund."""

    refunds_started: list[str]


class ExpireCheckoutSessionsInput(VerifyPaymentInput):
    pass


class NextStepOutput(Contract):
    """`attempt` comes with `await_payment`, `payment_intent` with `confirm` and `refund_unapplied`."""

    next_step: NextStepName
    reason: str
    payment_intent: str | None = None
    attempt: OpenedAttempt | None = None


class ConfirmReservationInput(StateInput):
    payment_intent: str | None = None


class ConfirmReservationOutput(Contract):
    """The event to publish."""

    event: PaymentConfirmed


class ReleaseHoldInput(StateInput):
    pass


class ReleaseHoldOutput(Contract):
    """The event to publish, with the nights of the stay."""

    event: HoldReleased


class ReserveRefundInput(RefundExecutionInput):
    execution: str


class CreateRefundInput(StateInput):
    """`attempt` grows by one each time an operator retries a failed refund."""

    refund_id: str
    attempt: int


class CheckRefundInput(StateInput):
    refund_id: str


class RefundOutput(Contract):
    """The refund's status at Stripe, or in the ledger once it is final there; `amount` in cents."""

    status: RefundStatus
    amount: int
    stripe_refund_id: str | None = None
    failure_reason: str | None = None


class RecordRefundInput(StateInput):
    """What RecordRefund, RecordRefundFailure and RecordSettledElsewhere write to the ledger."""

    refund_id: str
    outcome: Literal["succeeded", "failed", "settled_elsewhere"]
    stripe_refund_id: str | None = None
    failure_reason: str | None = None


class RecordRefundOutput(Contract):
    """`attempt` numbers the latest attempt at Stripe that the ledger knows; `event` is there once it is settled."""

    amount: int
    payment_status: str
    attempt: int
    event: RefundCompleted | None = None
