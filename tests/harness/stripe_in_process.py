"""The Stripe fake without a socket: the real SDK calls its ASGI application in the same thread."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe

from local.fake_stripe.fake_stripe import FakeStripe
from local.virtual_time.in_process_http import Exchange
from shared.adapters import stripe_api
from shared.adapters.checkout_parameters import checkout_parameters
from tests.harness.builders import HOUR, NOW, reservation
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import API_KEY


class InProcess(stripe.HTTPClient):
    """The SDK's HTTP client: calls the fake's ASGI application directly and never sleeps between retries."""

    name = "in-process"

    def __init__(self, fake_stripe: FakeStripe) -> None:
        super().__init__()
        self.app = fake_stripe.app

    def _sleep_time_seconds(self, num_retries: int) -> float:  # noqa: ARG002
        return 0.0

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **_: Any) -> Any:
        return asyncio.run(self._request(method, url, headers, post_data))

    async def _request(self, method: str, url: str, headers: Mapping[str, str], post_data: Any) -> Any:
        parts = urlsplit(url)
        exchange = Exchange((post_data or "").encode())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method.upper(),
            "path": parts.path.removeprefix("/stripe"),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
        }
        await self.app(scope, exchange.receive, exchange.send)
        if exchange.status is None:
            raise stripe.APIConnectionError("no answer", should_retry=True)  # type: ignore[no-untyped-call]
        return exchange.body, exchange.status, exchange.headers

    def close(self) -> None:
        pass


def new_fake_stripe(clock: Clock) -> FakeStripe:
    """A new Stripe account whose clock follows ours and whose webhooks are dropped."""
    fake_stripe = FakeStripe(base_url="http://stripe.test/stripe", webhook_url="http://webhook.test", api_key=API_KEY)
    fake_stripe.webhooks.set_mode("drop")
    fake_stripe.clock.advance(clock.now.timestamp() - fake_stripe.clock.now())
    clock.fake_stripe = fake_stripe
    return fake_stripe


def open_session() -> str:
    """Open a Checkout Session at Stripe as the first attempt of RES-1 does; return its id."""
    parameters = checkout_parameters(
        reservation(),
        payment_id="PAY-RES-1",
        attempt_key="1",
        expires_at=NOW + HOUR,
        success_url="https://stay.example",
        cancel_url="https://stay.example",
        policy=[],
    )
    return stripe_api.create_checkout_session(parameters, idempotency_key="1").id
