"""Faults that hit one booking only, so that many bookings can be tried at once on one stack.

For each booking: how its webhooks are delivered, which of its calls to Stripe or AWS fail, which of its functions fail,
and what happens just before or after one of its functions runs.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from local.aws import aws_account
from local.aws.aws_faults import AwsFault as AwsKind
from local.aws.aws_faults import AwsFaults
from local.aws.patches import lambda_invocation
from local.fake_stripe.fake_stripe import FakeStripe
from local.fake_stripe.stripe_faults import StripeFault as StripeKind
from local.fake_stripe.stripe_faults import StripeFaults
from local.fake_stripe.webhook_delivery import Mode as WebhookMode
from local.fault_queue import Fault

type Json = dict[str, Any]
type Moment = Literal["before", "after"]

RESERVATION_ID = re.compile(r"RES-[0-9a-f]{12}")

_stripe_request: ContextVar[str] = ContextVar("_stripe_request", default="")  # the booking that it is about
running_function: ContextVar[str] = ContextVar("running_function", default="")  # the booking that it works on
aws_request: ContextVar[tuple[str, str]] = ContextVar("aws_request", default=("", ""))  # the booking, and the text


@dataclass
class BookingFaults:
    """What goes wrong for one booking.

    `aws`: by a text that the request has to contain. `webhooks`: None leaves their delivery to the stack. `held`: the
    events that `hold` keeps back.
    """

    stripe: StripeFaults = field(default_factory=StripeFaults)
    aws: defaultdict[str, AwsFaults] = field(default_factory=lambda: defaultdict(AwsFaults))
    webhooks: WebhookMode | None = None
    held: list[str] = field(default_factory=list)
    hooks: dict[tuple[Moment, str], Callable[[], object]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def fail_stripe(self, operation: str, kind: StripeKind = "rate_limit", times: int = 1) -> None:
        """`operation` as in `checkout.sessions.create`; `*` is every one."""
        self.stripe.add(operation, kind, times)

    def fail_aws(
        self, operation: str, kind: AwsKind, times: int = 1, *, caller: str | None = "states", containing: str = ""
    ) -> None:
        """`caller`: a function's module, `states`, or None for any. `containing`: a text in the request."""
        self.aws[containing].add(operation, kind, times, caller)

    def fail_function(self, function: str, error: str) -> None:
        """The next run of one of the booking's functions raises this error before it does anything."""
        self.errors[function] = error

    def before(self, function: str, action: Callable[[], object]) -> None:
        """Run the action just before the next run of one of the booking's functions."""
        self.hooks["before", function] = action

    def after(self, function: str, action: Callable[[], object]) -> None:
        """Run it just after, before the caller gets the result."""
        self.hooks["after", function] = action

    def clear_aws(self) -> None:
        for faults in self.aws.values():
            faults.clear()

    def unused(self) -> list[str]:
        """The faults and hooks that nothing has met."""
        stripe = [f"{fault.operation} {fault.kind}" for fault in self.stripe.pending()]
        aws = [f"{fault.operation} {fault.kind}" for faults in self.aws.values() for fault in faults.pending()]
        hooks = [f"{moment} {function}" for moment, function in self.hooks]
        return [*stripe, *aws, *hooks, *self.errors]


class FaultInjector[F: BookingFaults]:
    """Finds the booking that a call, a request or an event is about, and lets its faults happen."""

    def __init__(self, stripe: FakeStripe, new_faults: Callable[[], F]) -> None:
        self.stripe = stripe
        self.of: defaultdict[str, F] = defaultdict(new_faults)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        send, run, call = self.stripe.webhooks.send, lambda_invocation.run_handler, BotocoreStubber.__call__
        stripe_api: Any = self.stripe.app.routes[0]
        answer = stripe_api.app

        async def answer_stripe(scope: Any, receive: Any, reply: Any) -> None:
            _stripe_request.set(self._booking_of_stripe_request(scope))
            await answer(scope, receive, reply)

        def call_aws(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
            operation = event_name.removeprefix("before-send.")
            return self.call_aws(operation, request, lambda: call(stubber, event_name, request, **kwargs))

        patch.setattr(self.stripe, "faults", _StripeFaultsOfBookings(self))
        patch.setattr(aws_account, "aws_faults", _AwsFaultsOfBookings(self))
        patch.setattr(stripe_api, "app", answer_stripe)
        patch.setattr(BotocoreStubber, "__call__", call_aws)
        patch.setattr(self.stripe.webhooks, "send", lambda event: self.send_webhook(event, send))
        patch.setattr(lambda_invocation, "run_handler", lambda function, body: self.run_function(function, body, run))

    # What happens when something is called; a subclass may do more.

    def fault_met(self, booking: str, description: str) -> None:
        """Called when a call to Stripe or AWS meets a fault."""

    def call_aws(self, operation: str, request: Any, call: Callable[[], Any]) -> Any:  # noqa: ARG002 - for subclasses
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
        text = f"{request.url} {body}"
        named = RESERVATION_ID.search(text)
        token = aws_request.set((named[0] if named else running_function.get(), text))
        try:
            return call()
        finally:
            aws_request.reset(token)

    def run_function(
        self, function: Any, body: str | bytes, run: Callable[[Any, str | bytes], tuple[bytes, bool]]
    ) -> tuple[bytes, bool]:
        """The function's answer, and whether that is an error."""
        name = function.handler.split(".")[1]  # of the module or package in lambdas/
        booking = self.booking_of_text(body.decode() if isinstance(body, bytes) else body or "")
        faults = self.of[booking]
        if (error := faults.errors.pop(name, None)) is not None:
            return json.dumps({"errorType": error, "errorMessage": "on request", "stackTrace": []}).encode(), True
        token = running_function.set(booking)
        try:
            faults.hooks.pop(("before", name), lambda: None)()
            result = run(function, body)
            faults.hooks.pop(("after", name), lambda: None)()
            return result
        finally:
            running_function.reset(token)

    def send_webhook(self, event: Json, send: Callable[[Json], Future[None]]) -> Future[None]:
        faults, webhooks = self.of[self.booking_of_object(event["data"]["object"])], self.stripe.webhooks
        if faults.webhooks == "hold":
            faults.held.append(event["id"])
        mode = webhooks.mode
        webhooks.mode = "drop" if faults.webhooks == "hold" else faults.webhooks or mode
        try:
            return send(event)
        finally:
            webhooks.mode = mode

    def release_webhooks(self, booking: str, *, containing: str = "", newest_first: bool = False) -> None:
        """Deliver what was held, or what of it contains a text; later events are delivered at once."""
        faults = self.of[booking]
        faults.webhooks = None
        due = [event for event in faults.held if containing in json.dumps(self.stripe.get("event", event))]
        faults.held = [event for event in faults.held if event not in due]
        for event in reversed(due) if newest_first else due:
            self.stripe.resend(event)

    # Which booking something is about; an empty text for none.

    def booking_of_text(self, text: str) -> str:
        """By the reservation's id, or by the id of one of its PaymentIntents."""
        if named := RESERVATION_ID.search(text):
            return named[0]
        intent = re.search(r"\bpi_\w+", text)
        with self.stripe.lock:
            found = self.stripe.fetch(intent[0]) if intent else None
        return self.booking_of_object(found) if found else ""

    def booking_of_object(self, obj: Json) -> str:
        """Of an object of Stripe's; disputes and dashboard refunds name only the PaymentIntent."""
        named = (obj.get("metadata") or {}).get("reservation_id")
        if named:
            return str(named)
        intent = self.stripe.fetch(obj.get("payment_intent") or "")
        return str(intent["metadata"].get("reservation_id", "")) if intent else ""

    def _booking_of_stripe_request(self, scope: Any) -> str:
        """By the idempotency key, else by the objects that the path or the query names."""
        key = next((value.decode() for name, value in scope["headers"] if name == b"idempotency-key"), "")
        if named := RESERVATION_ID.search(key):
            return named[0]
        query = scope["query_string"].decode().split("payment_intent=")
        ids = [*scope["path"].split("/"), query[-1].split("&")[0] if len(query) > 1 else ""]
        with self.stripe.lock:
            objects = [found for id_ in ids if (found := self.stripe.fetch(id_))]
        return next((self.booking_of_object(found) for found in objects), "")


class _StripeFaultsOfBookings(StripeFaults):
    def __init__(self, injector: FaultInjector[Any]) -> None:
        super().__init__()
        self._injector = injector

    def take(self, operation: str) -> StripeKind | None:
        booking = _stripe_request.get()
        kind = self._injector.of[booking].stripe.take(operation)
        if kind is not None:
            self._injector.fault_met(booking, f"Stripe: {kind}")
        return kind or super().take(operation)


class _AwsFaultsOfBookings(AwsFaults):
    def __init__(self, injector: FaultInjector[Any]) -> None:
        super().__init__()
        self._injector = injector

    def take(self, operation: str, caller: str | None) -> AwsKind | None:
        booking, text = aws_request.get()
        of_booking: dict[str, AwsFaults] = self._injector.of[booking].aws
        for containing, faults in list(of_booking.items()):
            if containing in text and (kind := faults.take(operation, caller)):
                self._injector.fault_met(booking, f"{operation.partition('.')[0]}: {kind}")
                return kind
        return super().take(operation, caller)

    def pending(self) -> list[Fault[AwsKind]]:
        of_bookings = [faults for of in list(self._injector.of.values()) for faults in list(of.aws.values())]
        return [*super().pending(), *(fault for faults in of_bookings for fault in faults.pending())]


def call_before(patch: pytest.MonkeyPatch, module: object, function: str, action: Callable[..., object]) -> None:
    """Run the action, given the same arguments, before each call of a module's function."""
    original = getattr(module, function)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        action(*args, **kwargs)
        return original(*args, **kwargs)

    patch.setattr(module, function, wrapped)


def call_after(patch: pytest.MonkeyPatch, module: object, function: str, action: Callable[[Any], object]) -> None:
    """Run the action, given the result, after each call of a module's function and before its caller goes on."""
    original = getattr(module, function)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        action(result)
        return result

    patch.setattr(module, function, wrapped)
