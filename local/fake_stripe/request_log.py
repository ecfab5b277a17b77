"""The log of requests to the fake Stripe."""

from dataclasses import asdict, dataclass

from local.fake_stripe.stripe_errors import Json


@dataclass
class Request:
    """`status` is None while the call runs, and remains so if the caller got no response."""

    id: str
    at: float
    method: str
    path: str
    operation: str | None = None
    params: Json | None = None
    idempotency_key: str | None = None
    fault: str | None = None
    replayed: bool = False
    status: int | None = None
    error: Json | None = None
    seconds: float = 0.0

    def as_json(self) -> Json:
        return asdict(self)
