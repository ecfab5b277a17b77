"""The account of the fake Stripe: its objects, clock and events, and settings for what Stripe leaves open."""

import copy
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

from local import credentials
from local.fake_stripe.clock import Clock
from local.fake_stripe.idempotency import IdempotencyKeys
from local.fake_stripe.objects import API_VERSION, build, new_id
from local.fake_stripe.stripe_errors import InvalidRequestError, Json
from local.fake_stripe.stripe_faults import StripeFaults
from local.fake_stripe.webhook_delivery import Webhooks
from local.quotas import Quotas

if TYPE_CHECKING:
    from local.fake_stripe.cards import Card
    from local.fake_stripe.request_log import Request

# The API request that is being executed; its events refer to it.
current_request: ContextVar[Json | None] = ContextVar("current_request", default=None)


class Account:
    """Every change is made in memory under `lock`; no handler holds the lock while it waits."""

    def __init__(self, *, base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self.api_keys = {api_key}
        # Restricted keys, which may read and nothing else.
        self.reading_keys = {credentials.REPORTING_KEY}
        self.lock = threading.RLock()
        self.clock = Clock(self.lock)
        self.webhooks = Webhooks(self.lock, self.clock, self.endpoints)
        self.faults = StripeFaults()
        self.quotas = Quotas()  # unlimited, unless a run replaces them
        self.idempotency = IdempotencyKeys(self.clock)
        self.requests: list[Request] = []
        # Duration of each call. Above 0, two calls with one idempotency key can overlap.
        self.latency_seconds = 0.0
        self._objects: dict[str, dict[str, Json]] = defaultdict(dict)
        self._kinds: dict[str, str] = {}
        # By session: the data of its future PaymentIntent. By PaymentIntent: the card that was used last.
        self.payment_intent_data: dict[str, Json] = {}
        self.card_used: dict[str, Card] = {}
        # By balance transaction: the payouts that contain it.
        self.paid_out: dict[str, list[str]] = {}
        # What happens to a 3-D Secure challenge in progress when its session expires; Stripe does not document it.
        self.challenge_after_expiry: Literal["pays", "refused", "canceled"] = "pays"
        # The first status of new refunds; None means that the card decides.
        self.refund_status: Literal["pending", "requires_action", "failed"] | None = None
        # How long the pay page waits for the response to checkout.session.completed before it redirects the guest.
        self.redirect_wait_seconds = 10.0
        self.refund_delay_seconds = 1.0
        self.dispute_delay_seconds = 0.2

    @contextmanager
    def current(self) -> Iterator[None]:
        """Hold the lock, after running everything that has become due."""
        with self.lock:
            self.clock.run_due()
            yield

    def add(self, obj: Json) -> Json:
        self._objects[obj["object"]][obj["id"]] = obj
        self._kinds[obj["id"]] = obj["object"]
        return obj

    def remove(self, object_id: str) -> None:
        del self._objects[self._kinds.pop(object_id)][object_id]

    def fetch(self, object_id: str) -> Json | None:
        return self._objects[self._kinds[object_id]][object_id] if object_id in self._kinds else None

    def get(self, kind: str, object_id: str, *, param: str | None = None) -> Json:
        """The object. Raises Stripe's 404 if there is none; `param` is the parameter that contained the id."""
        found = self._objects[kind].get(object_id)
        if found is None:
            raise InvalidRequestError(
                f"No such {kind}: '{object_id}'", code="resource_missing", param=param or "id", status=404
            )
        return found

    def all(self, kind: str, matches: Callable[[Json], bool] = lambda _: True) -> list[Json]:
        """Oldest first."""
        return [obj for obj in self._objects[kind].values() if matches(obj)]

    def endpoints(self) -> list[Json]:
        return self.all("webhook_endpoint")

    def emit(self, event_type: str, obj: Json, *, previous: Json | None = None) -> Future[None]:
        """Record and send an event; the future is done after its first delivery, or at once if there is none."""
        data = {"object": copy.deepcopy(obj)} | ({"previous_attributes": previous} if previous else {})
        event = build(
            "event",
            id=new_id("evt"),
            api_version=API_VERSION,
            created=self.clock.timestamp(),
            data=data,
            pending_webhooks=0,
            request=current_request.get() or {"id": None, "idempotency_key": None},
            type=event_type,
        )
        return self.webhooks.send(self.add(event))

    def close(self) -> None:
        self.clock.close()
        self.webhooks.close()
