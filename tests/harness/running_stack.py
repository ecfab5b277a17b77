"""A running local stack, and the people who talk to it from outside."""

import contextlib
import gc
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import requests

from local.admin_api.executions import Workflow
from local.admin_api.local_admin import LocalAdmin
from local.aws.clients import client, table
from local.aws.eventbridge import EventBridge
from tests.harness.admin_over_http import AdminOverHttp
from tests.harness.booking_driver import VISA, BookingDriver
from tests.harness.fault_injection import BookingFaults, FaultInjector
from tests.harness.leaks import WatchedStack
from tests.harness.waiting import PATIENCE, wait_until

type Json = dict[str, Any]

WORKFLOWS: tuple[Workflow, ...] = ("payment", "refund")


class Answer(NamedTuple):
    """What a route of the API answered."""

    status: int
    body: Json

    @property
    def outcome(self) -> tuple[int, Any]:
        """The HTTP status, with the error code, the status or the number of the attempt: what the body has first."""
        names = ("error_code", "status", "attempt_number")
        return self.status, next((self.body[name] for name in names if name in self.body), None)


class RunningStack:
    """Wraps a WatchedStack. `faults` has an effect once it is installed.

    `nights` and `total_amount` (cents) are those of a reservation that is made without them.
    """

    def __init__(
        self,
        local: WatchedStack,
        *,
        admin: LocalAdmin | AdminOverHttp | None = None,
        nights: int = 2,
        total_amount: int = 45_000,
    ) -> None:
        self.local, self.url, self.stripe = local, local.url, local.fake_stripe
        self.admin = admin or local.admin
        self.nights, self.total_amount = nights, total_amount
        self.faults = FaultInjector(local.fake_stripe, BookingFaults)
        self.dynamodb, self.states = client("dynamodb"), client("stepfunctions")
        self._tokens_of: dict[tuple[str, ...], tuple[str, float]] = {}
        self._pool = ThreadPoolExecutor(24)
        self._http = requests.Session()
        self._http.trust_env = False

    def close(self) -> None:
        self._pool.shutdown()
        self._http.close()

    def in_background[Result](self, action: Callable[[], Result]) -> Future[Result]:
        return self._pool.submit(action)

    @property
    def outputs(self) -> Json:
        return self.local.outputs

    # HTTP.

    def request(self, method: str, path: str, token: str | None, body: Any = None, **options: Any) -> requests.Response:
        """Call a path under `/api/`, without a token where that is None."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        url = f"{self.url}/api/{path}"
        return self._http.request(method, url, json=body, headers=headers, timeout=PATIENCE, **options)

    def call(
        self, method: str, path: str, token: str | None, body: Json | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Call a path under `/api/payments/`."""
        answer = self.request(method, f"payments/{path}", token, body, headers=dict(headers))
        return Answer(answer.status_code, answer.json())

    def token(self, customer_id: str, *groups: str) -> str:
        """An ID token of somebody; an hour old it would be refused, so it is replaced after half of that."""
        token, issued = self._tokens_of.get((customer_id, *groups), ("", 0.0))
        if time.time() - issued > 1800:
            token = str(self.admin.token(customer_id, groups=groups)["token"])
            self._tokens_of[customer_id, *groups] = token, time.time()
        return token

    @property
    def operator(self) -> str:
        """A token of an operator."""
        return self.token("CUST-operator", "operators")

    @property
    def stranger(self) -> str:
        """A token of somebody who has no booking."""
        return self.token("CUST-stranger")

    # Bookings.

    def reserve(
        self,
        *,
        nights: int | None = None,
        total_amount: int | None = None,
        days: range | None = None,
        hold_left: float | None = None,
    ) -> BookingDriver:
        """A booking that nobody has paid.

        `days`: how many days from today it may begin, on the first that is free; by default in a month or later.
        `hold_left`: the seconds until its hold ends, where the reservation is not just made.
        """
        booking = BookingDriver(self, self._reservation(nights or self.nights, total_amount or self.total_amount, days))
        if hold_left is not None:
            hold = timedelta(seconds=int(self.local.deployment.environment["HOLD_SECONDS"]) - hold_left)
            booking.set_stored("reservations", "created_at", (datetime.now(UTC) - hold).isoformat())
        return booking

    def _reservation(self, nights: int, total_amount: int, days: range | None) -> Json:
        if days is None:
            return self.admin.reserve(nights=nights, check_in=None, total_amount=total_amount)
        today = datetime.now(ZoneInfo("Europe/Madrid")).date()
        for day in days:
            with contextlib.suppress(LookupError):
                check_in = today + timedelta(days=day)
                return self.admin.reserve(nights=nights, check_in=check_in, total_amount=total_amount)
        raise AssertionError(f"no night is free in {days}")

    def reserve_paid(
        self, days: range | None = None, *, total_amount: int | None = None, card: str = VISA
    ) -> BookingDriver:
        """A booking that is paid and confirmed."""
        booking = self.reserve(days=days, total_amount=total_amount)
        assert booking.pay_now().status in {200, 201}
        booking.pay(card)
        assert booking.wait_for_end().status == "SUCCEEDED"
        return booking

    # What is stored, published and running.

    def table(self, name: str) -> Any:
        return table(self.outputs[f"{name}Table"])

    def machine(self, workflow: Workflow) -> str:
        return str(self.outputs[f"{workflow}StateMachineArn"])

    def execution_arn(self, name: str, workflow: Workflow = "payment") -> str:
        return f"{self.machine(workflow).replace(':stateMachine:', ':execution:')}:{name}"

    def running(self) -> dict[str, Workflow]:
        """The names of the executions that run, each with its workflow."""
        found: dict[str, Workflow] = {}
        for workflow in WORKFLOWS:
            pages = self.states.get_paginator("list_executions").paginate(
                stateMachineArn=self.machine(workflow), statusFilter="RUNNING"
            )
            found |= {execution["name"]: workflow for page in pages for execution in page["executions"]}
        return found

    def notifications(self, containing: str) -> list[str]:
        """The messages to operators that contain a text."""
        return [sent["message"] for sent in self.admin.notifications() if containing in sent["message"]]

    def resend_event(self, event_type: str, object_id: str) -> str:
        """Deliver Stripe's newest event of this type about an object once more; the event's id."""
        about = self.stripe.all("event", lambda event: bool(event["data"]["object"].get("id") == object_id))
        event_id = str([event["id"] for event in about if event["type"] == event_type][-1])
        self.stripe.resend(event_id)
        return event_id

    def resend_event_and_wait(self, event_type: str, object_id: str) -> int | None:
        """The same, up to the webhook's answer: its status."""
        event_id = self.resend_event(event_type, object_id)
        self.stripe.webhooks.wait_until_idle()
        return [sent.status for sent in self.stripe.webhooks.deliveries if sent.event_id == event_id][-1]

    def wait_until_idle(self) -> None:
        """Wait until no execution runs and every event that is not held has arrived."""

        def idle() -> bool:
            held = {event for faults in list(self.faults.of.values()) for event in faults.held}
            events = self.stripe.all("event", lambda event: event["id"] not in held)
            return not self.running() and all(self.stripe.webhooks.delivered(event["id"]) for event in events)

        wait_until(idle, "every execution to end and every event to arrive")


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Pulumi warns of its own modules when they are first imported, and leaves event loops open."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(aws|s3)\.", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
        if gc.get_freeze_count() == 0:
            gc.freeze()  # what the first start has imported stays, and need not be searched for garbage again and again


@contextlib.contextmanager
def start_stack(
    config: Mapping[str, str | int] | None = None,
    *,
    pulumi: bool = False,
    seed: int | None = None,
    take_short_cut: bool = False,
) -> Iterator[WatchedStack]:
    """A local stack that runs until the end of the block; with a `seed`, on virtual time.

    Its reconciler runs once an hour, unless a test or `config` says otherwise.
    """
    with contextlib.ExitStack() as running:
        with quiet_imports():
            config = {"reconcileMinutes": 60, **(config or {})}
            watched = WatchedStack(config=config, pulumi=pulumi, seed=seed, take_short_cut=take_short_cut)
            stack = running.enter_context(watched)
        yield stack


@contextlib.contextmanager
def run_stack(
    config: Mapping[str, str | int] | None = None,
    *,
    nights: int = 2,
    total_amount: int = 45_000,
    seed: int | None = None,
    take_short_cut: bool = False,
) -> Iterator[RunningStack]:
    """A stack with faults installed, where refunds and disputes at Stripe change only when a test says so.

    With a `seed` it lives on virtual time, and the reconciler has no schedule: it would find what is left to a timer.
    """
    with pytest.MonkeyPatch.context() as patch:
        if seed is not None:
            patch.setattr(EventBridge, "_run_schedule", lambda *_: None)
        with (
            start_stack(config, seed=seed, take_short_cut=take_short_cut) as local,
            contextlib.closing(RunningStack(local, nights=nights, total_amount=total_amount)) as stack,
        ):
            stack.stripe.refund_delay_seconds = stack.stripe.dispute_delay_seconds = 7 * 86_400
            stack.faults.install(patch)
            yield stack


def in_parallel[Result](number: int, call: Callable[[int], Result]) -> list[Result]:
    """The results of the call for 0, 1, …, each made in a thread of its own."""
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))
