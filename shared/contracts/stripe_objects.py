"""The Stripe objects that arrive in events, reduced to the fields we read."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.contracts.states import STRIPE_ID, StripeId


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
