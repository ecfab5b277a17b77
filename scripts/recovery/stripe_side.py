"""What Stripe knows of a stack since a moment: its sessions with their charges, its refunds, disputes and events."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import stripe

from shared.adapters import stripe_api
from shared.adapters.stripe_api import API_VERSION, EXPAND, MAX_LISTED
from shared.domain.stripe_values import CheckoutSession
from shared.services.stripe_events import HANDLED

type Json = dict[str, Any]

TRIES, PAUSE = 6, 2.0  # seconds, doubled with every try
HOUR = timedelta(hours=1)


class Pace:
    """Lets so many calls a second begin, those of all threads together."""

    def __init__(self, per_second: float) -> None:
        self._interval, self._turn, self._lock = 1 / per_second, 0.0, threading.Lock()
        self.calls = 0

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._turn = max(now, self._turn + self._interval)
            self.calls += 1
            pause = self._turn - now
        time.sleep(pause)


@dataclass(frozen=True)
class StripeSession:
    """A Checkout Session of this stack, with what a payment item needs of it; `amount` in cents."""

    session: CheckoutSession
    created_at: datetime
    amount: int
    success_url: str
    cancel_url: str

    @classmethod
    def of(cls, fields: Json) -> Self:
        return cls(
            session=stripe_api.checkout_session(fields),
            created_at=_moment(fields),
            amount=fields["amount_total"],
            success_url=fields["success_url"] or "",
            cancel_url=fields["cancel_url"] or "",
        )

    @property
    def attempt(self) -> str:
        return self.session.metadata.get("attempt", "")


class StripeSide:
    """Reads one account, at most `pace` calls a second; what belongs to other stacks is left out."""

    def __init__(self, key: str, api_base: str, stack: str, pace: Pace) -> None:
        client = stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            http_client=stripe.RequestsClient(timeout=(5, 60)),
            base_addresses={"api": api_base},
        )
        self._v1, self._stack, self._pace = client.v1, stack, pace

    def sessions(self, since: datetime) -> Iterator[StripeSession]:
        """Those that were created since then, newest first, each with its PaymentIntent, charge and refunds."""
        expand = [f"data.{path}" for path in EXPAND]
        for fields in self._pages(self._v1.checkout.sessions.list, since, expand=expand):
            if self._ours(fields):
                yield StripeSession.of(fields)

    def session(self, session_id: str) -> StripeSession:
        return StripeSession.of(
            self._call(lambda: self._v1.checkout.sessions.retrieve(session_id, params={"expand": EXPAND}))
        )

    def sessions_of(self, pi: str) -> list[StripeSession]:
        """The sessions of this stack that a PaymentIntent belongs to: at most one."""
        listed = self._call(lambda: self._v1.checkout.sessions.list(params={"payment_intent": pi}))["data"]
        return [self.session(fields["id"]) for fields in listed if self._ours(fields)]

    def refunds(self, since: datetime) -> Iterator[Json]:
        """The refunds of everybody since then, newest first: their PaymentIntents say whose they are."""
        return self._pages(self._v1.refunds.list, since)

    def failed_refunds(self, since: datetime) -> Iterator[Json]:
        """The refunds of everybody that failed since then, even if they were made long before."""
        for event in self._pages(self._v1.events.list, since, types=["refund.failed"]):
            yield event["data"]["object"]

    def disputes(self, since: datetime) -> Iterator[Json]:
        """The disputes of everybody since then, newest first."""
        return self._pages(self._v1.disputes.list, since)

    def events(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, list[Json]]]:
        """The events that the stack handles, oldest first: span by span, each with its end.

        Stripe lists the newest first, so those of a span are held together: it is an hour, and longer while few happen.
        """
        start, span = since, HOUR
        while start < until:
            end = min(start + span, until)
            found = list(self._pages(self._v1.events.list, start, end, types=sorted(HANDLED)))
            yield end, found[::-1]
            start, span = end, span * 2 if len(found) < MAX_LISTED // 2 else HOUR

    def _ours(self, fields: Json) -> bool:
        return (fields.get("metadata") or {}).get("stack") == self._stack

    def _pages(
        self, list_page: Callable[..., Any], since: datetime, until: datetime | None = None, **params: Any
    ) -> Iterator[Json]:
        """What was created in whole seconds from `since` and before `until`."""
        created = {"gte": int(since.timestamp())} | ({"lt": int(until.timestamp())} if until else {})
        params |= {"created": created, "limit": MAX_LISTED}
        while True:
            page = self._call(lambda: list_page(params=dict(params)))
            yield from page["data"]
            if not page["has_more"]:
                return
            params["starting_after"] = page["data"][-1]["id"]

    def _call(self, request: Callable[[], stripe.StripeObject]) -> Json:
        """Make one request, and try again what may succeed. Raises stripe.StripeError."""
        for number in range(TRIES):
            self._pace.wait()
            try:
                answer: Json = request().to_dict()
            except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError):
                if number == TRIES - 1:
                    raise
                time.sleep(PAUSE * 2**number)
            else:
                return answer
        raise AssertionError


def is_late(fields: Mapping[str, Any], since: datetime) -> bool:
    """Whether an object of Stripe was created at that moment or later."""
    return _moment(fields) >= since


def _moment(fields: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(fields["created"], UTC)
