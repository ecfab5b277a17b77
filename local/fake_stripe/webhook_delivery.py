"""Webhook deliveries: signed as Stripe does, posted by worker threads, and retried until the response is 2xx.

On request they are held, dropped, duplicated or reordered.
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, get_args
from urllib.parse import urlsplit

import requests

from local.fake_stripe.clock import Clock
from local.fake_stripe.objects import new_id
from local.fake_stripe.stripe_errors import Json

Mode = Literal["deliver", "hold", "drop", "duplicate", "reverse"]
# Deliveries wait for their receiver, and fifty bookings cause two hundred at once.
_WORKERS = 48
# Seconds before each redelivery. Stripe goes on for three days, after longer and longer pauses; people at a screen do
# not wait that long.
LIVE_RETRY_DELAYS = (60.0, 300.0, 1800.0, 7200.0, 18_000.0, *5 * (43_200.0,))
SHORT_RETRY_DELAYS = (0.5, 2.0, 5.0, 10.0)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# Endpoint, event, and the bytes to post.
type _Post = tuple[Json, Json, bytes]


def sign(body: bytes, *secrets: str, timestamp: int | None = None) -> str:
    """The Stripe-Signature header; one v1 for each secret."""
    at = int(time.time()) if timestamp is None else timestamp
    digests = (hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={at}", *(f"v1={digest}" for digest in digests)])


@dataclass(frozen=True)
class Delivery:
    """One attempt; `status` is None if there was no response."""

    event_id: str
    event_type: str
    url: str
    attempt: int
    status: int | None
    answer: str


class Webhooks:
    """`mode` decides how events are delivered from now on.

    deliver    at once, several at a time
    hold       after `release`
    drop       never; they remain in the list of events as undelivered
    duplicate  twice, and once more as another event object with the same contents
    reverse    the events of `gather_seconds` together, newest first, one after the other

    `secrets` maps the id of an endpoint to its signing secrets: two while one is being rolled. Signatures contain the
    real time, not that of the fake's clock.
    """

    def __init__(self, lock: threading.RLock, clock: Clock, endpoints: Callable[[], list[Json]]) -> None:
        self._lock = lock
        self.mode: Mode = "deliver"
        self.retry_delays: tuple[float, ...] = SHORT_RETRY_DELAYS
        self.timeout_seconds = 20.0
        self.gather_seconds = 0.2
        self.secrets: dict[str, list[str]] = {}
        self.deliveries: list[Delivery] = []
        self._clock = clock
        self._endpoints = endpoints
        self._held: list[Json] = []
        self._gathered: list[tuple[Json, Future[None]]] = []
        self._in_progress: set[Future[None]] = set()
        self._undelivered: dict[str, set[str]] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="stripe-webhook")
        self._closed = False

    def set_mode(self, mode: Mode) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"unknown webhook mode {mode}: one of {', '.join(get_args(Mode))}")
        self.mode = mode

    def send(self, event: Json) -> Future[None]:
        """Called under the lock. The future is done after the first delivery, or at once if there is none."""
        targets = [endpoint for endpoint in self._endpoints() if _subscribes(endpoint, event["type"])]
        self._undelivered[event["id"]] = {endpoint["id"] for endpoint in targets}
        event["pending_webhooks"] = len(targets)
        if self.mode == "hold":
            self._held.append(event)
        elif self.mode == "reverse":
            return self._gather(event)
        elif self.mode != "drop":
            if self.mode == "duplicate":
                self._start([event | {"id": new_id("evt")}])
                self._start([event])
            return self._start([event])
        return _done()

    def release(self) -> int:
        """Send the held events, oldest first; returns their number."""
        with self._lock:
            held, self._held = self._held, []
            for event in held:
                self._start([event])
            return len(held)

    def resend(self, event: Json) -> Future[None]:
        """Deliver an event again, like the button of the dashboard."""
        return self._start([event])

    def wait_until_idle(self, timeout: float = 10) -> bool:
        """Wait for the deliveries in progress, but not for held ones or those that wait for a retry."""
        with self._lock:
            in_progress = list(self._in_progress)
        return not wait(in_progress, timeout).not_done

    def delivered(self, event_id: str) -> bool:
        return not self._undelivered.get(event_id)

    def post(self, url: str, body: bytes, signature: str) -> tuple[int | None, str]:
        """Status and body of the response; None and the reason if there was none. Blocks."""
        parts = urlsplit(url)
        if parts.hostname not in _LOOPBACK:
            return None, f"the fake delivers on this machine only, not to {parts.hostname}"
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": "Stripe/1.0",
        }
        try:
            response = requests.post(url, body, headers=headers, timeout=self.timeout_seconds, allow_redirects=False)
        except requests.RequestException as problem:
            return None, repr(problem)
        return response.status_code, response.content.decode(errors="replace")

    def close(self) -> None:
        self._closed = True
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _gather(self, event: Json) -> Future[None]:
        answered: Future[None] = Future()
        if not self._gathered:
            self._clock.after(self.gather_seconds, self._deliver_gathered)
        self._gathered.append((event, answered))
        return answered

    def _deliver_gathered(self) -> None:
        gathered, self._gathered = self._gathered[::-1], []
        self._start([event for event, _ in gathered], [answered for _, answered in gathered])

    def _start(self, events: list[Json], answered: list[Future[None]] | None = None) -> Future[None]:
        """Deliver these events one after the other in a worker, each to every endpoint that subscribes to it."""
        answered = answered or [Future() for _ in events]
        with self._lock:
            jobs = [
                (
                    future,
                    [
                        (endpoint, event, encode(event))
                        for endpoint in self._endpoints()
                        if _subscribes(endpoint, event["type"])
                    ],
                )
                for event, future in zip(events, answered, strict=True)
            ]
        self._submit(jobs, attempt=0)
        return answered[-1]

    def _submit(self, jobs: list[tuple[Future[None], list[_Post]]], attempt: int) -> None:
        with self._lock:
            self._in_progress.update(future for future, _ in jobs)
            if not self._closed:
                self._workers.submit(self._deliver, jobs, attempt)
                return
        for future, _ in jobs:
            self._finish(future)

    def _deliver(self, jobs: list[tuple[Future[None], list[_Post]]], attempt: int) -> None:
        for future, posts in jobs:
            try:
                for post in posts:
                    self._attempt(post, attempt)
            finally:
                self._finish(future)

    def _attempt(self, post: _Post, attempt: int) -> None:
        endpoint, event, body = post
        if not _subscribes(endpoint, event["type"]):
            return
        status, answer = self.post(endpoint["url"], body, sign(body, *self.secrets[endpoint["id"]]))
        with self._lock:
            self.deliveries.append(Delivery(event["id"], event["type"], endpoint["url"], attempt, status, answer))
            if status is not None and HTTPStatus(status).is_success:
                # The copy of a duplicated event is not recorded itself.
                pending = self._undelivered.get(event["id"], set())
                pending.discard(endpoint["id"])
                event["pending_webhooks"] = len(pending)
            elif attempt < len(self.retry_delays) and not self._closed:
                self._clock.after(self.retry_delays[attempt], lambda: self._submit([(Future(), [post])], attempt + 1))

    def _finish(self, future: Future[None]) -> None:
        with self._lock:
            self._in_progress.discard(future)
        future.set_result(None)


def encode(event: Json) -> bytes:
    return json.dumps(event, indent=2, ensure_ascii=False).encode()


def _subscribes(endpoint: Json, event_type: str) -> bool:
    return endpoint["status"] == "enabled" and (
        "*" in endpoint["enabled_events"] or event_type in endpoint["enabled_events"]
    )


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future
