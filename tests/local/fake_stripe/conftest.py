"""The fake Stripe on a server of its own, the real SDK, and a webhook receiver that records what it gets."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from local import credentials
from local.fake_stripe.fake_stripe import FakeStripe, create_app

stripe.enable_telemetry = False


@dataclass
class Receiver:
    """Responds with `statuses` in order, then with 200; refuses an invalid signature."""

    events: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    delay_seconds: float = 0.0
    secret: str = credentials.WEBHOOK_SECRET

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event["data"]["object"] for event in self.events if event["type"] == event_type]

    async def __call__(self, request: Request) -> Response:
        body, signature = await request.body(), request.headers["stripe-signature"]
        try:
            event = stripe.Webhook.construct_event(body.decode(), signature, self.secret)
        except stripe.SignatureVerificationError:
            return PlainTextResponse("bad signature", 400)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        self.signatures.append(signature)
        self.events.append(event.to_dict())
        return PlainTextResponse("ok", self.statuses.pop(0) if self.statuses else 200)


class Server:
    """uvicorn in a thread; serves the fake of the current test, so that all tests share one server."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.fake_stripe: FakeStripe | None = None
        # Without naming TCP, asyncio leaves Nagle's algorithm on: 40 ms for each response.
        listening = socket.socket(proto=socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        async def fake_stripe(scope: Any, receive: Any, send: Any) -> None:
            assert self.fake_stripe is not None
            await create_app(self.fake_stripe)(scope, receive, send)

        async def webhook(request: Request) -> Response:
            return await self.receiver(request)

        app = Starlette(routes=[Mount("/stripe", fake_stripe), Route("/webhook", webhook, methods=["POST"])])
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._uvicorn.run, args=([listening],))
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join()


class Account:
    """An account of the fake, as the SDK, a guest's browser, the dashboard (`fake`) and our webhook see it."""

    def __init__(self, server: Server, http: requests.Session) -> None:
        self.http, self.url, self.receiver = http, server.url, Receiver()
        self.fake = FakeStripe(base_url=f"{server.url}/stripe", webhook_url=f"{server.url}/webhook")
        self.fake.webhooks.retry_delays = (0.02, 0.04)
        self.fake.refund_delay_seconds = self.fake.dispute_delay_seconds = 3600
        server.receiver, server.fake_stripe = self.receiver, self.fake
        self.v1 = self.new_client().v1
        self.sessions = self.v1.checkout.sessions

    def new_client(
        self,
        *,
        key: str = credentials.STRIPE_API_KEY,
        retries: int = 0,
        timeout: float = 5,
        http: requests.Session | None = None,
    ) -> stripe.StripeClient:
        return stripe.StripeClient(
            key,
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=timeout, session=http or self.http),
            base_addresses={"api": self.fake.base_url},
        )

    def params(self, **changes: Any) -> Any:
        """The parameters of a session for EUR 300; a change to None leaves one out."""
        metadata = {"payment_id": "PAY-r1", "reservation_id": "r1"}
        product = {"name": "Two nights <&>"}
        params = {
            "mode": "payment",
            "submit_type": "book",
            "allowed_payment_method_types": ["card"],
            "line_items": [
                {"price_data": {"currency": "eur", "unit_amount": 30_000, "product_data": product}, "quantity": 1}
            ],
            "customer_email": "guest@example.com",
            "client_reference_id": "r1",
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "expires_at": self.fake.clock.timestamp() + 2100,
            "locale": "en",
            "success_url": "https://shop.example/ok?session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/cancel",
            "adaptive_pricing": {"enabled": False},
        }
        return {name: value for name, value in (params | changes).items() if value is not None}

    def create_session(self, **changes: Any) -> Any:
        return self.sessions.create(self.params(**changes))

    def pay(self, session: Any, card: str = "4242424242424242") -> requests.Response:
        url = session if isinstance(session, str) else session.url
        return self.http.post(url, data={"card_number": card}, allow_redirects=False, timeout=15)

    def intent_of(self, session: Any) -> Any:
        return self.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]}).payment_intent

    def wait_until_idle(self) -> None:
        assert self.fake.webhooks.wait_until_idle()

    def delivered(self) -> list[str]:
        """The types of the events that our webhook has got, once all are delivered."""
        self.wait_until_idle()
        return self.receiver.types()


@contextmanager
def refused(**expected: Any) -> Iterator[Any]:
    """Expect that Stripe refuses the request, with these attributes of the error."""
    with pytest.raises(stripe.InvalidRequestError) as caught:
        yield caught
    assert {name: getattr(caught.value, name) for name in expected} == expected


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def account(server: Server) -> Iterator[Account]:
    with requests.Session() as http:
        account = Account(server, http)
        yield account
        account.wait_until_idle()
        account.fake.close()


@pytest.fixture
def session(account: Account) -> Any:
    return account.create_session()


@pytest.fixture
def paid(account: Account, session: Any) -> Any:
    """A succeeded PaymentIntent of 300 EUR."""
    assert account.pay(session).status_code == 303
    return account.sessions.retrieve(session.id, {"expand": ["payment_intent"]}).payment_intent
