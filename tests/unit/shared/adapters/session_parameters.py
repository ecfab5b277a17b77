"""Parameters of a Checkout Session, and the SDK's own types to hold them to."""

import inspect
from datetime import timedelta
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from stripe import _request_options

from shared.adapters.checkout_parameters import checkout_parameters
from shared.domain.booking import Reservation
from shared.domain.refund_policy import RefundTier
from tests.harness.builders import NOW, reservation


def parameters(of: Reservation | None = None, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "payment_id": "PAY-RES-1",
        "attempt_key": "2",
        "expires_at": NOW + timedelta(minutes=35),
        "success_url": "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://stay.example/booking/cancel?reservation_id=RES-1",
        "policy": [RefundTier(days=14, percent=100)],
    }
    return checkout_parameters(of or reservation(), **(fields | changes))


def strict(module: Any, name: str) -> TypeAdapter[Any]:
    """The SDK's own type of a call's parameters, at all depths without anything that it does not name."""
    for of in vars(module).values():
        if inspect.isclass(of) and hasattr(of, "__total__"):
            of.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)  # type: ignore[attr-defined]
    adapter: TypeAdapter[Any] = TypeAdapter(vars(module)[name])
    names = {**vars(_request_options), **vars(module), "StripeContext": str}
    adapter.rebuild(raise_errors=True, _types_namespace=names)
    return adapter
