"""Stripe events, signed and delivered to the webhook's function."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from hmac import new as hmac
from pathlib import Path
from typing import Any

from lambdas import stripe_webhook
from local.fake_stripe.fake_stripe import FakeStripe
from tests.harness.booking_situations import AWAITED
from tests.harness.builders import NOW, paying
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.lambda_environment import CONTEXT, WEBHOOK_SECRET, request_id
from tests.harness.stored_tables import Stored

type Json = dict[str, Any]
type Answer = tuple[int, Json]

EVENTS = Path(__file__).parent / "stripe_events"
COMPLETED = "checkout.session.completed"
ASYNC_SUCCEEDED = "checkout.session.async_payment_succeeded"
ASYNC_FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"
SUCCEEDED = "payment_intent.succeeded"
DECLINED = "payment_intent.payment_failed"
OURS: Json = {"stack": "booking-test", "reservation_id": "RES-1", "payment_id": "PAY-RES-1"}  # metadata
POINTER: Json = {"payment_id": "pi_1", "belongs_to": "PAY-RES-1", "attempt": "1"}


def event(kind: str, /, *, event_id: str = "evt_1", **fields: Any) -> Json:
    """A recorded event of Stripe about the booking RES-1; `fields` replace those of its object."""
    envelope: Json = json.loads((EVENTS / f"{kind}.json").read_text(encoding="utf-8"))
    envelope["id"] = event_id
    envelope["data"]["object"] |= fields
    return envelope


def dashboard_event(kind: str, /, **fields: Any) -> Json:
    """An event about a refund or dispute that was made at Stripe without our metadata."""
    of = {"id": "re_1", "amount": 500, "payment_intent": "pi_1", "metadata": {}} | fields
    return {"id": "evt_1", "type": kind, "created": int(NOW.timestamp()), "data": {"object": of}}


def add_to(stripe: FakeStripe, of: Json, **changes: Any) -> Json:
    """Let Stripe know the refund of this event, perhaps in another status by now."""
    stripe.add({"object": "refund", "created": 1, **of["data"]["object"], **changes})
    return of


def signature(body: bytes, *secrets: str, timestamp: float | None = None) -> str:
    seconds = int(NOW.timestamp() if timestamp is None else timestamp)
    signed = f"{seconds}.".encode() + body
    values = [hmac(secret.encode(), signed, sha256).hexdigest() for secret in secrets or (WEBHOOK_SECRET,)]
    return ",".join([f"t={seconds}", *(f"v1={value}" for value in values)])


def post(body: bytes, header: str | None, *, name: str = "Stripe-Signature", encoded: bool = False) -> Answer:
    """Send a request as API Gateway does; return the status and the parsed body of the answer."""
    correlation_id = request_id()
    answer = stripe_webhook.handler(
        {
            "requestContext": {"requestId": correlation_id},
            "headers": {"Content-Type": "application/json"} | ({} if header is None else {name: header}),
            "body": base64.b64encode(body).decode() if encoded else body.decode(errors="surrogateescape"),
            "isBase64Encoded": encoded,
        },
        CONTEXT,
    )
    assert answer["headers"] == {"Content-Type": "application/json", "x-correlation-id": correlation_id}
    return answer["statusCode"], json.loads(answer["body"])


def deliver(of: Json) -> Answer:
    body = json.dumps(of, indent=2).encode()
    return post(body, signature(body))


class Webhook:
    """The webhook of a booking whose first session is open and awaited, with what its events change.

    An earlier event has proven that the PaymentIntent `pi_1` is the booking's.
    """

    def __init__(self, stored: Stored, stripe: FakeStripe, aws: FakeAws) -> None:
        self.stored, self.stripe, self.aws = stored, stripe, aws
        self.stored.put("payments", POINTER)
        self.store(**AWAITED)

    def store(self, **changes: Any) -> None:
        """Replace the payment item by one whose first session is open."""
        self.stored.payment(paying(**changes))

    @property
    def item(self) -> Json:
        return self.stored.get("payments", "PAY-RES-1")

    @property
    def attempt(self) -> Json:
        return dict(self.item["attempts"]["1"])

    @property
    def recorded(self) -> list[Json]:
        return self.stored.all("events")

    @property
    def signalled(self) -> list[tuple[str, str]]:
        return self.aws.signalled

    @contextmanager
    def changes_nothing(self) -> Iterator[None]:
        """Expect that the event is recorded at most."""
        before = self.stored.all("payments")
        yield
        assert self.stored.all("payments") == before
        assert self.stored.all("reservations") == []
        assert self.aws.idle

    @contextmanager
    def has_no_effect(self) -> Iterator[None]:
        """Expect that nothing is changed, recorded, signalled or started."""
        before = self.stored.all("payments")
        yield
        assert self.stored.all("payments") == before
        assert (self.recorded, self.stored.all("reservations")) == ([], [])
        assert (self.signalled, self.aws.started) == ([], [])
