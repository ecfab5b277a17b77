"""Inputs and outputs of the states.

Ids and times only: an execution's history must hold no e-mail address and no secret.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.domain.models import Payment, RefundPolicy, RefundStatus, iso
from shared.domain.next_step import NextStepName

RESERVATION_ID = re.compile(r"[0-9A-Za-z_-]{1,60}")


# Stripe's ids are shorter; ours are made of them (an execution's name is 80 characters at most).
STRIPE_ID = re.compile(r"[0-9A-Za-z_]{1,64}")


ReservationId = Annotated[str, StringConstraints(pattern=f"^{RESERVATION_ID.pattern}$")]


StripeId = Annotated[str, StringConstraints(pattern=f"^{STRIPE_ID.pattern}$")]


class Contract(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


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
    """`refunds_started`: the PaymentIntents that this execution has given to a refund workflow."""

    refunds_started: list[str]


class ExpireCheckoutSessionsInput(VerifyPaymentInput):
    pass


class NextStepOutput(Contract):
    """`attempt` with the next_step `open`, `payment_intent` with `paid` and `unapplied`, `reason` always."""

    next_step: NextStepName
    reason: str
    payment_intent: str | None = None
    attempt: OpenedAttempt | None = None


class ConfirmReservationInput(StateInput):
    payment_intent: str | None = None


class ReleaseHoldInput(StateInput):
    pass


class ReleaseHoldOutput(Contract):
    """For the events: the `nights` of the stay that was given up, as dates."""

    nights: list[str]


class ConfirmReservationOutput(Contract):
    amount: int
    currency: str


class RefundOrder(Contract):
    """The input of a refund's execution; `amount` in cents, left out for an unapplied capture (all of it)."""

    refund_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,80}$")]
    reservation_id: ReservationId
    payment_id: str
    kind: Literal["cancellation", "goodwill", "unapplied"]
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
