"""One local stack for all of this folder, and a booking's life on it in a few verbs.

Nothing here waits for a timer of hours: holds last a day, and what takes time at Stripe is moved on by hand.
"""

import contextlib
import gc
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import boto3
import pytest
import requests

from local.admin_api.executions import Execution
from local.aws import emulator
from local.stack import LocalStack

type Json = dict[str, Any]

TOTAL = 45_001  # cents; odd, so that half of it is not whole
VISA, FAILS_LATER, PENDING = "4242424242424242", "4000000000005126", "4000000000007726"
# Days before check-in at which the policy gives half and nothing; anything later gives all.
HALF, NOTHING = range(8, 13), range(2, 6)
PATIENCE = 30.0  # seconds; only a test that fails waits so long


def until[Found](check: Callable[[], Found], what: str) -> Found:
    """What `check` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.03)
    return found


class Answer(NamedTuple):
    status: int
    body: Json

    @property
    def error(self) -> tuple[int, str | None]:
        return self.status, self.body.get("error_code")


class World:
    """The stack, and who acts on it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.admin = stack.admin
        self.stripe = stack.fake_stripe
        self.operator = str(self.admin.token(groups=["operators"])["token"])
        self.stranger = str(self.admin.token()["token"])
        self._pool = ThreadPoolExecutor(24)

    def close(self) -> None:
        self._pool.shutdown()

    def call(
        self, method: str, path: str, token: str | None, body: Json | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = requests.request(
            method,
            f"{self.stack.url}/api/payments/{path}",
            json=body,
            headers={**authorization, **headers},
            timeout=PATIENCE,
        )
        return Answer(answer.status_code, answer.json())

    def meanwhile[Result](self, action: Callable[[], Result]) -> Future[Result]:
        return self._pool.submit(action)

    def held(self, days: range | None = None, *, total: int = TOTAL) -> "Booking":
        """A reservation of one night that many days from today, as soon as one is free; by default in a month."""
        today = datetime.now(ZoneInfo("Europe/Madrid")).date()
        for day in days or [None]:
            check_in = None if day is None else today + timedelta(days=day)
            try:
                return Booking(self, self.admin.reserve(nights=1, check_in=check_in, total_amount=total))
            except LookupError:
                continue
        raise AssertionError(f"no night is free in {days}")

    def paid(self, days: range | None = None, *, total: int = TOTAL, card: str = VISA) -> "Booking":
        """A booking whose payment workflow has confirmed it."""
        booking = self.held(days, total=total)
        session = booking.press_pay_now()
        self.stripe.pay(session["checkout_session_id"], card)
        until(lambda: booking.execution().status == "SUCCEEDED", "the payment to be confirmed")
        return booking

    def tell(self, event_type: str, of: str) -> str:
        """Deliver Stripe's newest event of this type about an object once more; the event's id."""
        about = self.stripe.all("event", lambda event: bool(event["data"]["object"].get("id") == of))
        event_id = str([event["id"] for event in about if event["type"] == event_type][-1])
        self.stripe.resend(event_id)
        return event_id

    def tell_and_wait(self, event_type: str, of: str) -> int | None:
        """The same, up to the webhook's answer: its status."""
        event_id = self.tell(event_type, of)
        self.stripe.webhooks.wait_until_idle()
        return [sent.status for sent in self.stripe.webhooks.deliveries if sent.event_id == event_id][-1]

    def table(self, name: str) -> Any:
        return boto3.resource("dynamodb", region_name=emulator.REGION).Table(self.stack.outputs[f"{name}Table"])

    def told_operators(self, containing: str) -> list[str]:
        return [sent["message"] for sent in self.admin.notifications() if containing in sent["message"]]

    def published(self, detail_type: str, booking: "Booking") -> list[Json]:
        of = [event for event in emulator.published if event.detail_type == detail_type]
        return [event.detail for event in of if event.detail["payment_id"] == booking.payment_id]


class Booking:
    """One reservation, its guest, and everything that is known of its payment."""

    def __init__(self, world: World, reservation: Json) -> None:
        self.world = world
        self.id: str = reservation["reservation_id"]
        self.payment_id = f"PAY-{self.id}"
        self.cancellation = f"{self.payment_id}-cancellation"
        self.check_in: str = reservation["check_in"]
        self.token: str = reservation["guest_token"]

    # What its guest and the operators do.

    def press_pay_now(self) -> Json:
        answer = self.world.call("POST", "checkout-session", self.token, {"reservation_id": self.id})
        assert answer.status in {200, 201}, answer
        return answer.body

    def cancel(self, **body: Any) -> Answer:
        """The guest cancels the paid stay."""
        return self.world.call("POST", f"{self.id}/refund", self.token, body or None)

    def give_back(self, amount: int | None = None, *, key: str = "one", kind: str = "goodwill") -> Answer:
        """An operator gives an amount back; by default as goodwill."""
        body: Json = {"kind": kind} | ({} if amount is None else {"amount": amount})
        headers = {"Idempotency-Key": key} if kind == "goodwill" else {}
        return self.world.call("POST", f"{self.id}/refund", self.world.operator, body, headers)

    def resolve(self, refund_id: str, answer: str, **body: Any) -> Answer:
        path = f"{self.id}/refunds/{refund_id}/resolution"
        return self.world.call("POST", path, self.world.operator, {"answer": answer, **body})

    def status(self) -> Json:
        answer = self.world.call("GET", f"{self.id}/status", self.token)
        assert answer.status == 200
        return answer.body

    # What is stored.

    @property
    def item(self) -> Json:
        return self.world.admin.payment(self.payment_id)

    @property
    def reservation(self) -> str:
        return str(self.world.admin.reservation(self.id)["status"])

    @property
    def night(self) -> str:
        return str(self.world.admin.night(self.check_in)["status"])

    @property
    def pi(self) -> str:
        """The PaymentIntent that paid for the booking."""
        captures: Json = self.item["captures"]
        return next(pi for pi, capture in captures.items() if capture.get("role") == "booking")

    def entry(self, refund_id: str | None = None) -> Json:
        """An entry of the ledger, by default the cancellation's."""
        found: Json = self.item["refunds"][refund_id or self.cancellation]
        return found

    @property
    def ledger(self) -> tuple[str, int, int, int]:
        """The payment's status, what went back, what is on its way, what no refund has reserved yet."""
        item = self.item
        amounts = item.get("refund_amount", 0), item.get("refund_pending_amount", 0)
        return item["status"], *amounts, item["captures"][self.pi]["refundable"]

    def put(self, path: str, value: Any) -> None:
        """Set one value of the payment item behind everybody's back."""
        names = {f"#n{number}": name for number, name in enumerate(path.split("."))}
        self.world.table("payments").update_item(
            Key={"payment_id": self.payment_id},
            UpdateExpression=f"SET {'.'.join(names)} = :value",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":value": value},
        )

    # What runs, and what Stripe has on record.

    def execution(self) -> Execution:
        return self.world.admin.execution(self.id)

    def refund(self, name: str | None = None) -> Execution:
        """A refund's execution, by default the cancellation's."""
        return self.world.admin.execution(name or self.cancellation, "refund")

    def wait_for(self, state: str, name: str | None = None) -> None:
        """Until the refund's execution waits in this state."""
        until(lambda: self._exists(name) and self.refund(name).waiting_in == state, f"{name} to wait in {state}")

    def wait_for_end(self, name: str | None = None) -> Execution:
        until(lambda: self._exists(name) and self.refund(name).status != "RUNNING", f"{name} to end")
        return self.refund(name)

    def _exists(self, name: str | None) -> bool:
        try:
            return bool(self.refund(name))
        except LookupError:
            return False

    def refunds_at_stripe(self, pi: str | None = None) -> list[tuple[str, int]]:
        """Status and amount of each refund that Stripe has made of a PaymentIntent, by default the booking's."""
        of = pi or self.pi
        return [
            (refund["status"], refund["amount"])
            for refund in self.world.stripe.all("refund", lambda refund: refund["payment_intent"] == of)
        ]


_end = contextlib.ExitStack()  # of the stack, while it runs
_world: list[World] = []


def start(end: contextlib.ExitStack) -> World:
    """A stack that runs until the end, and whoever has to do with it."""
    with warnings.catch_warnings():
        # Pulumi's provider complains of its own modules at import; Pulumi's threads leave event loops behind.
        warnings.simplefilter("ignore")
        stack = end.enter_context(LocalStack())
        gc.collect()
    # What Stripe does by itself after a while is done by the tests, when they want it.
    stack.fake_stripe.refund_delay_seconds = stack.fake_stripe.dispute_delay_seconds = 7 * 86_400
    world = World(stack)
    end.callback(world.close)
    return world


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the stack with this folder: no scope of a fixture is a folder's, and each process has one AWS only."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _end.close()
        _world.clear()


@pytest.fixture
def world() -> Iterator[World]:
    """The stack, with no faults left and its webhooks delivered once the test is over."""
    if not _world:
        _world.append(start(_end))
    (world,) = _world
    yield world
    world.stripe.faults.clear()
    emulator.aws_faults.clear()
    world.stripe.refund_status = None
    world.stripe.webhooks.set_mode("deliver")
    world.stripe.webhooks.release()
    world.stripe.webhooks.wait_until_idle()
