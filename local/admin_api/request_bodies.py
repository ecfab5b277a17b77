"""The JSON bodies that the addresses under `/local` accept; an unknown field is refused."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class RequestBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewReservation(RequestBody):
    nights: Annotated[int, Field(ge=1, le=90)] = 2
    check_in: date | None = None
    total_amount: int = 45000
    customer_id: str | None = None
    customer_email: str | None = None
    reservation_id: Annotated[str, Field(min_length=1)] | None = None
    extra: dict[str, Any] = {}


class ReservationChanges(RequestBody):
    status: str | None = None
    total_amount: int | None = None


class NewToken(RequestBody):
    customer_id: str | None = None
    groups: list[str] = []


class AwsFault(RequestBody):
    operation: str
    kind: str
    times: Annotated[int, Field(ge=1)] = 1
    function: str | None = None


class StripeFault(RequestBody):
    operation: str
    kind: str
    times: Annotated[int, Field(ge=1)] = 1


class StripeEvent(RequestBody):
    event: dict[str, Any]


class WebhookMode(RequestBody):
    mode: str


class ClockAdvance(RequestBody):
    advance_seconds: float


class ChargeElsewhere(RequestBody):
    amount: Annotated[int, Field(ge=50)]
    metadata: dict[str, str] = {}
    checkout: bool = False


class DashboardRefund(RequestBody):
    payment_intent: str
    amount: int | None = None


class RefundStatus(RequestBody):
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class NextRefundStatus(RequestBody):
    status: Literal["pending", "requires_action", "failed"] | None


class DisputeOutcome(RequestBody):
    outcome: Literal["won", "lost", "warning_closed"]


class NewFraudWarning(RequestBody):
    payment_intent: str


class NewDispute(RequestBody):
    payment_intent: str
    amount: int | None = None
    status: Literal["needs_response", "warning_needs_response"] = "needs_response"
