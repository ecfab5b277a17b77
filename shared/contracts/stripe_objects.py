"""Stripe's events and the objects inside them, reduced to the fields that we read."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.contracts.states import STRIPE_ID, StripeId
from shared.domain.models import StripeRefundStatus
from shared.domain.stripe_values import StripeRefund


class StripeObject(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)


class StripeEventData(StripeObject):
    object: dict[str, Any]


class StripeEvent(StripeObject):
    """The envelope of an event; `created` is in seconds since 1970, and unknown fields are ignored."""

    id: Annotated[str, StringConstraints(pattern=r"^evt_[0-9A-Za-z_]{1,200}$")]
    type: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    created: int = 0
    data: StripeEventData

    @property
    def object(self) -> dict[str, Any]:
        return self.data.object

    @property
    def metadata(self) -> dict[str, str]:
        """The object's metadata; values that are not text are left out."""
        metadata = self.object.get("metadata")
        if not isinstance(metadata, dict):
            return {}
        return {name: value for name, value in metadata.items() if isinstance(value, str)}

    @property
    def payment_intent(self) -> str | None:
        """The id of the PaymentIntent that the object is or refers to; None if there is no valid one."""
        field = "id" if self.object.get("object") == "payment_intent" else "payment_intent"
        value = self.object.get(field)
        return value if isinstance(value, str) and STRIPE_ID.fullmatch(value) else None

    @property
    def checkout_session(self) -> str | None:
        """The id of the Checkout Session that the object is, else None."""
        value = self.object.get("id") if self.object.get("object") == "checkout.session" else None
        return value if isinstance(value, str) else None


class StripeDecline(StripeObject):
    """Why a card was declined."""

    decline_code: str | None = None
    code: str | None = None
    message: str | None = None


class StripeDeclinedObject(StripeObject):
    """The PaymentIntent in a `payment_intent.payment_failed` event."""

    id: StripeId
    latest_charge: StripeId | None = None
    last_payment_error: StripeDecline | None = None


class StripeRefundObject(StripeObject):
    """The Refund in a `refund.*` event; `amount` in cents."""

    id: StripeId
    status: StripeRefundStatus
    amount: int
    payment_intent: StripeId
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None

    def to_refund(self) -> StripeRefund:
        return StripeRefund(**self.model_dump(exclude={"metadata"}), metadata=self.metadata or {})


class StripeFraudWarningObject(StripeObject):
    """The warning in a `radar.early_fraud_warning.created` event."""

    id: StripeId
    payment_intent: StripeId
    fraud_type: str


class StripeEvidenceDetails(StripeObject):
    """By when Stripe wants evidence, in seconds since 1970; nothing once that is over."""

    due_by: int | None = None


class StripeDisputeObject(StripeObject):
    """The Dispute in a `charge.dispute.*` event; `amount` in cents."""

    id: StripeId
    status: str
    amount: int
    payment_intent: StripeId
    reason: str | None = None
    evidence_details: StripeEvidenceDetails | None = None

    @property
    def due_by(self) -> datetime | None:
        due_by = None if self.evidence_details is None else self.evidence_details.due_by
        return None if due_by is None else datetime.fromtimestamp(due_by, UTC)
