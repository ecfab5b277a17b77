"""A local stack whose timers run fast, with faults that hit one booking only, so that many can be tried at once.

What is real: the state machines, every handler, the fake's rules, the deadlines (they are as short as the
configuration says). What is shortened: pauses between retries, waits for Stripe, the patience of HTTP calls, and the
reconciler's ideas of "a moment ago" and "later" (`SHORTENED`).
"""

import contextlib
import importlib
import itertools
import re
import threading
import time
import types
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import boto3
import botocore.retries.standard as botocore_retries
import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retrier
import moto.stepfunctions.parser.asl.component.common.timeouts.timeout as timeouts
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service as tasks
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback as callbacks
import moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function as waits
import pytest
import stripe
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField

from local.admin_api.executions import Workflow
from local.aws import aws_account, aws_faults, emulator
from local.aws.aws_faults import AwsFault as AwsKind
from local.aws.aws_faults import AwsFaults
from local.aws.patches import lambda_invocation
from local.fake_stripe.stripe_faults import StripeFault as StripeKind
from local.fake_stripe.stripe_faults import StripeFaults as Faults
from local.stack import LocalStack
from shared.adapters import stripe_api

type Json = dict[str, Any]
type Moment = Literal["before", "after"]
type Mail = Literal["deliver", "late", "never", "lost", "duplicate", "reverse"]

WINDOW = 4  # seconds that a session is offered: enough for a busy machine to have it paid in time
CONFIG: Mapping[str, str | int] = {
    "stripeRetrySeconds": 1,
    "throttleRate": 5000,
    "throttleBurst": 5000,
}
DELAY = 0.5  # seconds until a delayed write arrives
PAUSES = 0.1  # what is left of the pauses between retries and of the waits for Stripe
# A refund's settlement is looked at after a day, operators are told again after three: here after seconds.
LONG_WAITS = {86_400: 4.0, 259_200: 12.0}

SHORTENED: Mapping[str, Mapping[str, object]] = {
    "lambdas.payments_api": {"PATIENCE": 4.0, "PAUSE": 0.15, "POLL_INTERVAL": 0.2},
    "shared.services.money_events": {"PATIENCE": 1.0},
    "shared.adapters.payment_items": {"REFRESH_INTERVAL": timedelta(seconds=0.3)},
    "shared.domain.session_outcomes": {"CHALLENGE_GRACE": timedelta(seconds=3)},
    "shared.domain.attempts": {"OPENING_REPEATABLE": timedelta(seconds=2)},
    "lambdas.reconcile_payments": {
        "QUIET": timedelta(seconds=0.5),
        "CHECK_AGAIN_AFTER": (timedelta(seconds=2), timedelta(seconds=4)),
        "EVENTS_SINCE": timedelta(minutes=10),
    },
    "shared.services.payment_restarts": {"GRACE": timedelta(seconds=0.3)},
}

RESERVATION = re.compile(r"RES-[0-9a-f]{12}")


@dataclass
class Invocation:
    """One run of a function, and what it has called so far."""

    function: str
    about: str
    run: int = 0
    calls: list[str] = field(default_factory=list)
    died_at: str | None = None
    # Of one that is about many bookings, what it does about each; and which it has called about last.
    parts: dict[str, "Invocation"] = field(default_factory=dict)
    lately: str = ""


def shortened(calls: Sequence[str]) -> tuple[str, ...]:
    """Polling, which goes on for as long as it takes, counts as one call."""
    return tuple(call for number, call in enumerate(calls) if number == 0 or call != calls[number - 1])


@dataclass(frozen=True)
class Crash:
    """The function's process ends right before or after its n-th call (from 0) to the outside.

    With `operation` only calls of that operation count. `run`: in the function's n-th run for the booking, or in any.
    `way`: at a call that these, `shortened`, have led to.
    """

    function: str
    call: int
    moment: Moment
    operation: str | None = None
    run: int | None = None
    way: tuple[str, ...] | None = None

    def strikes(self, invocation: Invocation, number: int, moment: Moment) -> bool:
        """Whether it is the invocation's call of this number."""
        before = invocation.calls[:number]
        if self.way is not None:
            led = shortened(invocation.calls[: number + 1])
            return (self.function, self.moment, self.way) == (invocation.function, moment, led)
        counted = number if self.operation is None else before.count(self.operation)
        return (
            (self.function, self.moment, self.call) == (invocation.function, moment, counted)
            and self.operation in {None, invocation.calls[number]}
            and self.run in {None, invocation.run}
        )


@dataclass(frozen=True)
class Stop:
    """A booking's execution is stopped in a state, the first time that it gets there.

    `entered`: before the state does anything. `asking`: what the state asks for is done after the stop, beside the
    replacement. `waiting`: with the task token stored. `answered`: the state's work is done, and nobody hears of it.
    """

    workflow: Workflow
    state: str
    moment: Literal["entered", "asking", "waiting", "answered"]

    def __str__(self) -> str:
        return f"{self.workflow} stopped in {self.state}, {self.moment}"


@dataclass
class FaultInjection:
    """What goes wrong for one booking. `delayed`: so many writes of a task token get no answer and arrive too late."""

    aws: AwsFaults = field(default_factory=AwsFaults)
    stripe: Faults = field(default_factory=Faults)
    crashes: list[Crash] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    mail: Mail = "deliver"
    kept: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    delayed: int = 0
    disturbed: bool = False
    met: Counter[str] = field(default_factory=Counter)

    def disturb(self, how: str) -> None:
        """Something went wrong, in this way."""
        self.disturbed = True
        self.met[how] += 1

    def calm(self) -> None:
        self.delayed = 0
        self.aws.clear()
        self.stripe.clear()
        self.crashes.clear()


_asked_about: ContextVar[str] = ContextVar("_asked_about", default="")
_requested_about: ContextVar[str] = ContextVar("_requested_about", default="")
_invocation: ContextVar[Invocation | None] = ContextVar("_invocation", default=None)
# What the interpreter knows of the execution whose task this thread runs.
_running_task: ContextVar[Json | None] = ContextVar("_running_task", default=None)


class _BookedStripeFaults(Faults):
    def __init__(self, faults_injected: Mapping[str, FaultInjection]) -> None:
        super().__init__()
        self._levers = faults_injected

    def take(self, operation: str) -> StripeKind | None:
        kind = self._levers[_asked_about.get()].stripe.take(operation)
        if kind is not None:
            self._levers[_asked_about.get()].disturb(f"Stripe: {kind}")
        return kind


class _BookedAwsFaults(AwsFaults):
    def __init__(self, faults_injected: Mapping[str, FaultInjection]) -> None:
        super().__init__()
        self._levers = faults_injected

    def take(self, operation: str, caller: str | None) -> AwsKind | None:
        kind = self._levers[_requested_about.get()].aws.take(operation, caller)
        if kind is not None:
            self._levers[_requested_about.get()].disturb(f"{operation.partition('.')[0]}: {kind}")
        return kind


class World:
    """The running stack; `violations` are invariants seen broken at the very moment, by booking."""

    def __init__(self, stack: LocalStack, patch: pytest.MonkeyPatch, window: int) -> None:
        self.window, self.hold = window, hold_of(window)
        self.stack, self.admin, self.stripe = stack, stack.admin, stack.fake_stripe
        self.faults_injected: defaultdict[str, FaultInjection] = defaultdict(FaultInjection)
        self.sequences: defaultdict[str, int] = defaultdict(int)
        self.published: defaultdict[str, set[str]] = defaultdict(set)
        self.violations: defaultdict[str, list[str]] = defaultdict(list)
        self.record: list[Invocation] | None = None
        self.dynamodb = boto3.client("dynamodb", region_name=emulator.REGION)
        self.states = boto3.client("stepfunctions", region_name=emulator.REGION)
        self.stripe.refund_delay_seconds = 0.4
        self.patch = patch
        patch.setattr(self.stripe, "faults", _BookedStripeFaults(self.faults_injected))
        patch.setattr(aws_account, "aws_faults", _BookedAwsFaults(self.faults_injected))
        self._put_in()
        self._watch_states()

    def _put_in(self) -> None:
        patch = self.patch
        send: Callable[[Json], Future[None]] = self.stripe.webhooks.send
        run, call_aws = lambda_invocation.run_handler, BotocoreStubber.__call__
        payments = importlib.import_module("shared.adapters.stripe_api")
        ask = payments._call
        api: Any = self.stripe.app.routes[0]
        answer = api.app

        def travel(event: Json) -> Future[None]:
            return self._travel(event, send)

        def invoked(function: Any, body: str | bytes) -> tuple[bytes, bool]:
            about = self._booking_of_event(body.decode() if isinstance(body, bytes) else body or "")
            name = function.handler.split(".")[-2]
            runs = self.faults_injected[about].runs
            invocation = Invocation(name, about, runs[name])
            runs[name] += 1
            if self.record is not None:
                self.record.append(invocation)
            token = _invocation.set(invocation)
            try:
                return run(function, body)
            finally:
                _invocation.reset(token)

        def called_aws(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
            operation = event_name.removeprefix("before-send.")
            text = request.body if isinstance(request.body, str) else (request.body or b"").decode()
            found = RESERVATION.search(text)
            invocation = _invocation.get()
            about = found[0] if found else invocation.about if invocation else ""
            if invocation is None:
                self._stop(_running_task.get(), "asking")
            token = _requested_about.set(about)
            try:
                if '":token"' in text and self.faults_injected[about].delayed:
                    return self._delay(about, text, lambda: call_aws(stubber, event_name, request, **kwargs))
                with self._outside(operation):
                    self._watch_before(operation, about)
                    result = call_aws(stubber, event_name, request, **kwargs)
                    self._watch_after(operation, about, text, result)
                    return result
            finally:
                _requested_about.reset(token)

        def asked_stripe(operation: str, call: Any) -> Any:
            with self._outside(f"stripe.{operation}"):
                return ask(operation, call)

        async def remembered(scope: Any, receive: Any, reply: Any) -> None:
            _asked_about.set(self._booking_of(scope))
            await answer(scope, receive, reply)

        patch.setattr(self.stripe.webhooks, "send", travel)
        patch.setattr(lambda_invocation, "run_handler", invoked)
        patch.setattr(BotocoreStubber, "__call__", called_aws)
        patch.setattr(stripe_api, "_call", asked_stripe)
        patch.setattr(api, "app", remembered)

    def _watch_states(self) -> None:
        enter = CommonStateField._eval_state_input
        run_task = tasks.StateTaskService._eval_execution
        wait = callbacks.StateTaskServiceCallback._wait_for_task_token_timeout

        def entered(state: Any, env: Any) -> None:
            self._stop(env.states.context_object.context_object_data, "entered")
            enter(state, env)

        def ran_task(task: Any, env: Any) -> None:
            context = env.states.context_object.context_object_data
            token = _running_task.set(context)
            try:
                run_task(task, env)
            finally:
                _running_task.reset(token)
            self._stop(context, "answered")

        def waited(task: Any, timeout_seconds: int, callback_endpoint: Any) -> Any:
            self._stop(_running_task.get(), "waiting")
            return wait(task, timeout_seconds, callback_endpoint)

        self.patch.setattr(CommonStateField, "_eval_state_input", entered)
        self.patch.setattr(tasks.StateTaskService, "_eval_execution", ran_task)
        self.patch.setattr(callbacks.StateTaskServiceCallback, "_wait_for_task_token_timeout", waited)

    def _stop(self, context: Json | None, moment: str) -> None:
        """Stop the execution if that is to happen in this state at this moment."""
        if context is None:
            return
        execution = context["Execution"]
        stops = self.faults_injected[execution["Input"]["reservation_id"]].stops
        workflow = "refund" if "refund_id" in execution["Input"] else "payment"
        for stop in stops:
            if (stop.workflow, stop.state, stop.moment) == (workflow, context["State"]["Name"], moment):
                stops.remove(stop)
                token = _running_task.set(None)
                try:
                    self.states.stop_execution(executionArn=execution["Id"])
                finally:
                    _running_task.reset(token)

    def _delay(self, about: str, text: str, call: Callable[[], Any]) -> Any:
        """No answer to the caller, and the write is done when its repeat may have been."""
        self.faults_injected[about].delayed -= 1
        self.faults_injected[about].disturb("dynamodb: delayed")
        machine = aws_account.current_state_machine.get()

        def arrive() -> None:
            aws_account.current_state_machine.set(machine)
            self._watch_after("dynamodb.UpdateItem", about, text, call())

        timer = threading.Timer(DELAY, arrive)
        timer.daemon = True
        timer.start()
        status, headers, body = aws_faults.fault_response("dynamodb.UpdateItem", "internal_error")
        return AWSResponse("", status, headers, MockRawResponse(body))  # type: ignore[arg-type]

    @contextmanager
    def _outside(self, operation: str) -> Iterator[None]:
        """A call of the running function to the outside: here its process may die."""
        whole = _invocation.get()
        invocation = None if whole is None else self._part(whole)
        if invocation is None or invocation.died_at is not None:
            yield
            return
        number = len(invocation.calls)
        invocation.calls.append(operation)
        self._die(invocation, number, "before")
        try:
            yield
        except Exception:
            self._die(invocation, number, "after")
            raise
        self._die(invocation, number, "after")

    def _part(self, whole: Invocation) -> Invocation:
        """The run of a function for one booking, of one that goes through many."""
        whole.lately = _requested_about.get() or whole.lately
        if whole.about or not whole.lately:
            return whole
        if whole.lately not in whole.parts:
            runs = self.faults_injected[whole.lately].runs
            part = whole.parts[whole.lately] = Invocation(whole.function, whole.lately, runs[whole.function])
            runs[whole.function] += 1
            if self.record is not None:
                self.record.append(part)
        return whole.parts[whole.lately]

    def _die(self, invocation: Invocation, number: int, moment: Moment) -> None:
        faults_injected = self.faults_injected[invocation.about]
        for crash in faults_injected.crashes:
            if crash.strikes(invocation, number, moment):
                faults_injected.crashes.remove(crash)
                faults_injected.disturb(f"a function dies {moment} a call")
                invocation.died_at = f"{moment} {invocation.calls[number]}"
                raise SystemExit(invocation.died_at)

    def _travel(self, event: Json, send: Callable[[Json], Future[None]]) -> Future[None]:
        faults_injected = self.faults_injected[self.booking_of_object(event["data"]["object"])]
        webhooks = self.stripe.webhooks
        if faults_injected.mail == "late":
            faults_injected.kept.append(event["id"])
        webhooks.mode = faults_injected.mail if faults_injected.mail in {"deliver", "duplicate", "reverse"} else "drop"
        try:
            sent = send(event)
            if faults_injected.mail == "lost":  # Stripe was answered, so that not even its list has it
                webhooks._undelivered[event["id"]].clear()
            return sent
        finally:
            webhooks.mode = "deliver"

    def booking_of_object(self, obj: Json) -> str:
        named = (obj.get("metadata") or {}).get("reservation_id")
        if named:
            return str(named)
        intent = self.stripe.fetch(obj.get("payment_intent") or "")
        return str(intent["metadata"].get("reservation_id", "")) if intent else ""

    def _booking_of_event(self, text: str) -> str:
        """What a function is told names the reservation, or else a PaymentIntent of it."""
        if named := RESERVATION.search(text):
            return named[0]
        found = re.search(r"\bpi_\w+", text)
        with self.stripe.lock:
            intent = self.stripe.fetch(found[0]) if found else None
        return self.booking_of_object(intent) if intent else ""

    def _booking_of(self, scope: Any) -> str:
        """The booking that a request to Stripe is about: from its idempotency key, else from the object's."""
        key = next((value.decode() for name, value in scope["headers"] if name == b"idempotency-key"), "")
        if named := RESERVATION.search(key):
            return named[0]
        query = scope["query_string"].decode().split("payment_intent=")
        parts = [*scope["path"].split("/"), query[-1].split("&")[0] if len(query) > 1 else ""]
        with self.stripe.lock:
            objects = [found for part in parts if (found := self.stripe.fetch(part))]
        return next((self.booking_of_object(found) for found in objects), "")

    # Seen at the very moment.

    def open_sessions(self, about: str) -> set[str]:
        """The published sessions of a booking that can be paid at Stripe now."""
        with self.stripe.lock:
            sessions = [self.stripe.fetch(session_id) for session_id in self.published[about]]
        return {session["id"] for session in sessions if session and session["status"] == "open"}

    def _watch_before(self, operation: str, about: str) -> None:
        if operation == "dynamodb.TransactWriteItems" and emulator.current_function.get() == "release_hold":
            payable = self.open_sessions(about)
            if payable:
                self.violations[about].append(f"3: released while {sorted(payable)} can be paid")

    def _watch_after(self, operation: str, about: str, text: str, result: Any) -> None:
        if operation != "dynamodb.UpdateItem" or result is None or result.status_code != 200:
            return
        written = re.search(r'":sequence": *\{"N": *"(\d+)"', text)
        if written is not None:
            wait = f"{about} {re.findall(r'"#id": *"([^"]+)"', text)}"
            if int(written[1]) < self.sequences[wait]:
                self.violations[about].append("8: an older task token took the place of a newer one")
            self.sequences[wait] = max(int(written[1]), self.sequences[wait])
        if '":url"' not in text:
            return
        published = re.search(r'":session": *\{"S": *"(\w+)"', text)
        if published is None:
            return
        self.published[about].add(published[1])
        payable = self.open_sessions(about)
        if len(payable) > 1:
            self.violations[about].append(f"6: {sorted(payable)} can be paid at the same time")

    # What tests pull.

    def reserve(self, hold_left: float) -> Json:
        made = self.admin.reserve(nights=1)
        created_at = time.time() - self.hold + hold_left
        self.dynamodb.update_item(
            TableName=self.stack.outputs["reservationsTable"],
            Key={"reservation_id": {"S": made["reservation_id"]}},
            UpdateExpression="SET created_at = :at",
            ExpressionAttributeValues={":at": {"S": _iso(created_at)}},
        )
        return made

    def release_mail(self, about: str, *, backwards: bool = False) -> None:
        """What was kept arrives; what comes from now on arrives at once."""
        faults_injected = self.faults_injected[about]
        faults_injected.mail = "deliver"
        kept, faults_injected.kept = faults_injected.kept, []
        for event_id in reversed(kept) if backwards else kept:
            self.stripe.resend(event_id)

    def reconcile(self) -> str | None:
        """What the run failed of, if it did."""
        try:
            self.admin.reconcile()
        except ValueError as error:
            return str(error)
        return None

    def running(self) -> dict[str, str]:
        """The names of the executions that run, with the workflow each belongs to."""
        found: dict[str, str] = {}
        for workflow in ("payment", "refund"):
            pages = self.states.get_paginator("list_executions").paginate(
                stateMachineArn=self.stack.outputs[f"{workflow}StateMachineArn"], statusFilter="RUNNING"
            )
            found |= {execution["name"]: workflow for page in pages for execution in page["executions"]}
        return found


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03}+00:00"


def _hasten(patch: pytest.MonkeyPatch) -> None:
    """Shorten what is mere waiting; deadlines stay what they are."""
    short = types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * PAUSES))
    patch.setattr(retrier, "time", short)

    def wait(_: Any, env: Any, wait_seconds: float) -> None:
        until = time.monotonic() + wait_seconds * PAUSES
        while env.is_running() and (left := until - time.monotonic()) > 0:
            env.program_state_event.wait(min(left, 0.5))

    patch.setattr(waits.WaitFunction, "_wait_interval", wait)
    seconds_of = timeouts.TimeoutSeconds._eval_seconds

    def task_timeout(self: Any, env: Any) -> float:
        seconds: int = seconds_of(self, env)
        return LONG_WAITS.get(seconds, seconds)

    patch.setattr(timeouts.TimeoutSeconds, "_eval_seconds", task_timeout)
    delay = botocore_retries.ExponentialBackoff.delay_amount
    patch.setattr(
        botocore_retries.ExponentialBackoff, "delay_amount", lambda self, context: delay(self, context) * PAUSES
    )
    patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.05)
    patch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.1)
    for name, values in SHORTENED.items():
        module = importlib.import_module(name)
        for attribute, value in values.items():
            assert hasattr(module, attribute), f"{name}.{attribute}"
            patch.setattr(module, attribute, value)


def hold_of(window: int) -> int:
    """Seconds; longer than any booking's, which is cut short by when its reservation was made."""
    return max(600, 4 * window)


@contextmanager
def world(window: int = WINDOW) -> Iterator[World]:
    """A stack of its own, from here to the end of the block."""
    with ExitStack() as running:
        patch = running.enter_context(pytest.MonkeyPatch.context())
        with warnings.catch_warnings():
            # pulumi_aws complains of its own modules when they are first imported.
            warnings.simplefilter("ignore")
            stack = running.enter_context(
                LocalStack(config={**CONFIG, "checkoutWindowSeconds": window, "holdSeconds": hold_of(window)})
            )
        _hasten(patch)
        yield World(stack, patch, window)


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Act again and again in a thread, from here to the end of the block."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(seconds):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def until(check: Callable[[], object], seconds: float) -> bool:
    """Whether the condition holds before so many seconds are over."""
    end = time.monotonic() + seconds
    for pause in itertools.chain([0.05, 0.1, 0.2], itertools.repeat(0.4)):
        with contextlib.suppress(LookupError):
            if check():
                return True
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return False
