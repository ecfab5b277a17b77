"""A running local stack with faults that hit one booking only, and a guest who has one.

Many bookings run at the same time on one stack. The faults: how a booking's webhooks travel, which of its calls to
Stripe or AWS fail, and what happens just before or after one of its functions runs.
"""

import contextlib
import importlib
import itertools
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import boto3
import pytest
import requests
from moto.core.botocore_stubber import BotocoreStubber

from local.admin_api.executions import Execution
from local.aws import aws_account, emulator
from local.aws.aws_faults import AwsFault as AwsKind
from local.aws.aws_faults import AwsFaults
from local.fake_stripe.stripe_faults import StripeFault as StripeKind
from local.fake_stripe.stripe_faults import StripeFaults as Faults
from local.stack import LocalStack
from shared.adapters.step_functions import execution_name

type Json = dict[str, Any]
type Mode = Literal["deliver", "keep", "duplicate", "reverse"]

VISA, CHALLENGED = "4242424242424242", "4000002500003155"
DECLINED, NO_FUNDS = "4000000000000002", "4000000000009995"

PATIENCE = 90.0  # seconds until a condition is given up; nothing is ever asserted about how long it took
FUNCTIONS = (
    "create_checkout_session",
    "verify_payment",
    "expire_checkout_sessions",
    "confirm_reservation",
    "release_hold",
    "stripe_webhook",
)
_RESERVATION = re.compile(r"RES-[0-9a-f]{12}")


def until[T](check: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    pause = 0.05
    while not (found := check()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(pause)
        pause = min(0.3, pause * 1.3)
    return found


# FaultInjection that work on one booking only.


_asked_about: ContextVar[str] = ContextVar("_asked_about", default="")
_handled: ContextVar[str] = ContextVar("_handled", default="")
_request: ContextVar[str] = ContextVar("_request", default="")


class StripeFaults(Faults):
    """Faults by reservation."""

    def __init__(self) -> None:
        super().__init__()
        self.of: defaultdict[str, Faults] = defaultdict(Faults)

    def take(self, operation: str) -> StripeKind | None:
        return self.of[_asked_about.get()].take(operation)


class BookedAwsFaults(AwsFaults):
    """Faults by a text that occurs in the request, or in the event that the calling function handles."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[tuple[str, ...], AwsFaults] = {}

    def take(self, operation: str, caller: str | None) -> AwsKind | None:
        text = _request.get() + _handled.get()
        for about, faults in list(self.of.items()):
            if all(part in text for part in about) and (kind := faults.take(operation, caller)):
                return kind
        return None


class Stage:
    """A running stack with its faults_injected put in."""

    def __init__(self, stack: LocalStack, patch: pytest.MonkeyPatch, config: Mapping[str, int]) -> None:
        self.stack, self.admin, self.fake_stripe = stack, stack.admin, stack.fake_stripe
        self.hold = timedelta(seconds=config.get("holdSeconds", 86_400))
        self.dynamodb = boto3.client("dynamodb", region_name=emulator.REGION)
        self.states = boto3.client("stepfunctions", region_name=emulator.REGION)
        self.modes: dict[str, Mode] = {}
        self.kept: defaultdict[str, list[Json]] = defaultdict(list)
        self.hooks: dict[tuple[str, str, str], Callable[[], object]] = {}
        self.stripe_faults, self.aws_faults = StripeFaults(), BookedAwsFaults()
        self._put_in(patch)

    def _put_in(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(self.fake_stripe, "faults", self.stripe_faults)
        patch.setattr(aws_account, "aws_faults", self.aws_faults)
        call, send = BotocoreStubber.__call__, self.fake_stripe.webhooks.send
        api: Any = self.fake_stripe.app.routes[0]
        answer = api.app

        def remember_request(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
            body = request.body if isinstance(request.body, str) else (request.body or b"").decode()
            token = _request.set(f"{request.url} {body} ")
            try:
                return call(stubber, event_name, request, **kwargs)
            finally:
                _request.reset(token)

        async def remember_booking(scope: Any, receive: Any, reply: Any) -> None:
            _asked_about.set(self._asked_about(scope))
            await answer(scope, receive, reply)

        def travel(event: Json) -> Future[None]:
            about = (event["data"]["object"].get("metadata") or {}).get("reservation_id", "")
            mode = self.modes.get(about, "deliver")
            if mode == "keep":
                self.kept[about].append(event)
            webhooks = self.fake_stripe.webhooks
            webhooks.mode = "drop" if mode == "keep" else mode
            try:
                return send(event)
            finally:
                webhooks.mode = "deliver"

        patch.setattr(BotocoreStubber, "__call__", remember_request)
        patch.setattr(api, "app", remember_booking)
        patch.setattr(self.fake_stripe.webhooks, "send", travel)
        for function in FUNCTIONS:
            module = importlib.import_module(f"lambdas.{function}")
            patch.setattr(module, "handler", self._hooked(function, module.handler))

    def _asked_about(self, scope: Any) -> str:
        """The reservation that a request to Stripe is about: from its idempotency key, else from the object's."""
        key = next((value.decode() for name, value in scope["headers"] if name == b"idempotency-key"), "")
        named = _RESERVATION.search(key)
        if named is not None:
            return named[0]
        objects = (self.fake_stripe.fetch(part) for part in scope["path"].split("/"))
        return next((str(found["metadata"].get("reservation_id")) for found in objects if found), "")

    def _hooked(self, function: str, handler: Callable[[Json, Any], Any]) -> Callable[[Json, Any], Any]:
        def handle(event: Json, context: Any) -> Any:
            text = json.dumps(event)
            named = _RESERVATION.search(text)
            about = named[0] if named else ""
            token = _handled.set(text)
            try:
                # What happens meanwhile is somebody else's doing: not under the function's role.
                Context().run(self.hooks.pop(("before", function, about), lambda: None))
                result = handler(event, context)
                Context().run(self.hooks.pop(("after", function, about), lambda: None))
                return result
            finally:
                _handled.reset(token)

        return handle

    def settle(self) -> None:
        """Until no execution runs and every event that travels has arrived."""
        kept = {event["id"] for events in self.kept.values() for event in events}

        def still() -> bool:
            events = self.fake_stripe.all("event", lambda event: event["id"] not in kept)
            running = [
                execution
                for arn in (self.stack.outputs["paymentStateMachineArn"], self.stack.outputs["refundStateMachineArn"])
                for execution in self.states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
            ]
            return not running and all(self.fake_stripe.webhooks.delivered(event["id"]) for event in events)

        with contextlib.suppress(AssertionError):  # the stories concerned will show it
            until(still, "everything to come to rest")


# Who plays.


@dataclass
class Guest:
    """One booking and everybody around it: guest, platform, Stripe, operators."""

    stage: Stage
    id: str = ""
    nights: list[str] = field(default_factory=list)
    token: str = ""
    session: str = ""
    meanwhile: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def reserve(self, hold_left: float | None) -> None:
        made = self.stage.admin.reserve()
        self.id, self.token = made["reservation_id"], made["guest_token"]
        first = datetime.fromisoformat(made["check_in"]).date()
        self.nights = [(first + timedelta(days=day)).isoformat() for day in range(2)]
        if hold_left is not None:
            created_at = datetime.now(UTC) - self.stage.hold + timedelta(seconds=hold_left)
            self.store("reservationsTable", "reservation_id", self.id, "created_at", created_at.isoformat())

    # The guest, over HTTP.

    def api(self, method: str, path: str, body: Json | None = None, *, token: str = "") -> tuple[int, Json]:
        answer = requests.request(
            method,
            f"{self.stage.stack.url}/api/payments/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token or self.token}"},
            timeout=PATIENCE,
        )
        return answer.status_code, answer.json()

    def _asked(self, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Who is told to wait (202) asks again; then an open session (200) is as new to them as one just made (201)."""
        status, answer = self.api("POST", path, body)
        if status != HTTPStatus.ACCEPTED:
            return status, answer

        def done() -> tuple[int, Json] | None:
            status, answer = self.api("POST", path, body)
            return None if status == HTTPStatus.ACCEPTED else (status, answer)

        status, answer = until(done, f"{path} of {self.id} to be answered")
        return 201 if "checkout_session_id" in answer else status, answer

    def _open(self, path: str, body: Json | None = None) -> tuple[int, str]:
        """Status, and the error code or the number of the attempt."""
        status, answer = self._asked(path, body)
        self.session = answer.get("checkout_session_id", self.session)
        return status, str(answer.get("error_code") or answer.get("attempt_number"))

    def pay_now(self) -> tuple[int, str]:
        return self._open("checkout-session", {"reservation_id": self.id})

    def pay_now_in_vain(self) -> int:
        """Once, whatever the answer; its status."""
        return self.api("POST", "checkout-session", {"reservation_id": self.id})[0]

    def retry(self) -> tuple[int, str]:
        return self._open(f"{self.id}/retry")

    def cancel(self) -> tuple[int, str]:
        """Status, and the payment's or the error code."""
        status, answer = self._asked(f"{self.id}/cancel")
        return status, answer.get("error_code") or answer["status"]

    def cancel_meanwhile(self) -> None:
        """The request is written; who asked waits for the release while the workflow goes on."""
        self.meanwhile.submit(self.cancel)
        until(lambda: "cancel_requested_at" in self.payment(), "the cancel request")

    def come_back(self) -> tuple[int, str]:
        """From Stripe's page: the read makes the workflow look."""
        status, answer = self.api("GET", f"{self.id}/status?session_id={self.session}")
        return status, answer["status"]

    def status(self) -> Json:
        return self.api("GET", f"{self.id}/status")[1]

    def grant_attempt(self) -> int:
        operator: str = self.stage.admin.token(groups=["operators"])["token"]
        return self.api("POST", f"{self.id}/attempts", token=operator)[0]

    # The guest at Stripe, and Stripe by itself.

    def pay(self, card: str = VISA, *, session: str = "") -> str:
        return self.stage.fake_stripe.pay(session or self.session, card).kind

    def pay_on_page(self, card: str = VISA) -> int:
        """Over HTTP, as a browser does; the answer's status."""
        return self._post(f"pay/{self.session}", {"card_number": card})

    def pass_challenge(self) -> int:
        return self._post(f"pay/{self.session}/challenge", {"outcome": "pass"})

    def _post(self, path: str, form: dict[str, str]) -> int:
        url = f"{self.stage.stack.url}/stripe/{path}"
        return requests.post(url, data=form, allow_redirects=False, timeout=PATIENCE).status_code

    def force_payment(self, session: str = "", **money: Any) -> str:
        return str(self.stage.fake_stripe.force_payment(session or self.session, **money)["id"])

    def expire_at_stripe(self) -> None:
        self.stage.fake_stripe.expire_session(self.session)

    def webhooks(self, mode: Mode) -> None:
        self.stage.modes[self.id] = mode

    def release_webhooks(self, about: str = "") -> None:
        """Those kept, oldest first; only those that mention `about`."""
        self.webhooks("deliver")
        kept = self.stage.kept[self.id]
        self.stage.kept[self.id] = [event for event in kept if about not in json.dumps(event)]
        for event in kept:
            if about in json.dumps(event):
                self.stage.fake_stripe.resend(event["id"])

    def events(self, event_type: str) -> list[str]:
        """The ids of the events of this type that Stripe sent about the booking."""

        def ours(event: Json) -> bool:
            return event["type"] == event_type and self.id in json.dumps(event["data"])

        return [event["id"] for event in self.stage.fake_stripe.all("event", ours)]

    def deliveries(self, event_id: str) -> list[int | None]:
        """What each delivery of an event was answered."""
        sent = list(self.stage.fake_stripe.webhooks.deliveries)
        return [delivery.status for delivery in sent if delivery.event_id == event_id]

    def recorded(self, event_id: str) -> str | None:
        """What the webhook has on record about an event."""
        table = self.stage.stack.outputs["webhookEventsTable"]
        found = self.stage.dynamodb.get_item(TableName=table, Key={"event_id": {"S": event_id}}, ConsistentRead=True)
        return found["Item"]["processing_result"]["S"] if "Item" in found else None

    # The platform, behind our back.

    def platform(self, *, status: str | None = None, total_amount: int | None = None) -> None:
        self.stage.admin.change_reservation(self.id, status=status, total_amount=total_amount)

    def lose_night(self) -> None:
        self.store("availabilityTable", "date", self.nights[0], "reservation_id", "RES-of-another")

    def store(self, table: str, key: str, value: str, name: str, text: str) -> None:
        self.stage.dynamodb.update_item(
            TableName=self.stage.stack.outputs[table],
            Key={key: {"S": value}},
            UpdateExpression="SET #name = :text",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":text": {"S": text}},
        )

    # What goes wrong.

    def stripe_fails(self, operation: str, kind: StripeKind = "rate_limit", times: int = 1) -> None:
        self.stage.stripe_faults.of[self.id].add(operation, kind, times)

    def stripe_recovers(self) -> None:
        self.stage.stripe_faults.of[self.id].clear()

    def aws_fails(
        self, operation: str, kind: AwsKind, times: int = 1, *, caller: str = "states", about: str = ""
    ) -> None:
        """`caller`: the function, or `states`; `about`: what else the request has to mention."""
        self.stage.aws_faults.of.setdefault((self.id, about), AwsFaults()).add(operation, kind, times, caller)

    def aws_recovers(self) -> None:
        for about, faults in self.stage.aws_faults.of.items():
            if about[0] == self.id:
                faults.clear()

    def before(self, function: str, happens: Callable[[], object]) -> None:
        """Just before the next run of one of the booking's functions."""
        self.stage.hooks["before", function, self.id] = happens

    def after(self, function: str, happens: Callable[[], object]) -> None:
        """Just after it, before the state machine hears of the result."""
        self.stage.hooks["after", function, self.id] = happens

    # What can be seen.

    def payment(self) -> Json:
        try:
            return self.stage.admin.payment(self.id)
        except LookupError:
            return {"status": "none", "attempts": {}, "captures": {}, "refunds": {}}

    def requests(self, operation: str) -> list[Json]:
        """The calls of an operation that Stripe got about this booking."""
        sessions = {session["id"] for session in self.sessions()}
        found = [request for request in list(self.stage.fake_stripe.requests) if request.operation == operation]
        texts = [request.as_json() for request in found]
        return [text for text in texts if any(part in json.dumps(text) for part in (self.id, *sessions))]

    def sessions(self) -> list[Json]:
        return self.stage.fake_stripe.all("checkout.session", lambda one: one["client_reference_id"] == self.id)

    def published(self) -> list[str]:
        return [event.detail_type for event in list(emulator.published) if event.detail["reservation_id"] == self.id]

    def notified(self) -> list[str]:
        return [
            note["message"].partition(":")[0] for note in self.stage.admin.notifications() if self.id in note["message"]
        ]

    def waits(self, awaiting: str, *, after: int = 0) -> int:
        """Until a wait newer than `after` is published; its sequence number."""

        def sequence() -> int:
            item = self.payment()
            newer = item.get("awaiting") == awaiting and item["token_sequence"] > after
            return int(item["token_sequence"]) if newer else 0

        return until(sequence, f"{self.id} to await {awaiting}")

    def waits_for_stripe(self) -> None:
        until(
            lambda: self.stage.admin.execution(self.id).waiting_in == "AwaitStripe",
            f"{self.id} to wait for Stripe",
        )

    def night(self, day: str) -> str:
        night = self.stage.admin.night(day)
        ours = night.get("reservation_id") in {None, self.id}
        return str(night["status"]) if ours else "another's"

    def ended(self, restart: int = 0) -> str:
        """Until the execution, or the one that took over, is over; how."""
        arn = self.stage.stack.outputs["paymentStateMachineArn"].replace(":stateMachine:", ":execution:")
        name = execution_name(self.id, restart)

        def status() -> str | None:
            try:
                found = self.stage.states.describe_execution(executionArn=f"{arn}:{name}")["status"]
            except self.stage.states.exceptions.ExecutionDoesNotExist:
                return None
            return None if found == "RUNNING" else found

        return str(until(status, f"{name} to end"))

    def executions(self) -> list[Execution]:
        """The booking's, each after the one it took over from."""
        found = []
        for restart in itertools.count():
            try:
                found.append(self.stage.admin.execution(execution_name(self.id, restart)))
            except LookupError:
                return found
        raise AssertionError

    def unused(self) -> list[str]:
        """FaultInjection that met nothing: then the story did not show what it says."""
        hooks = [f"{when} {function}" for when, function, about in self.stage.hooks if about == self.id]
        stripe = [f"{fault.operation} {fault.kind}" for fault in self.stage.stripe_faults.of[self.id].pending()]
        aws = [
            f"{fault.operation} {fault.kind}"
            for about, faults in self.stage.aws_faults.of.items()
            if about[0] == self.id
            for fault in faults.pending()
        ]
        return hooks + stripe + aws
