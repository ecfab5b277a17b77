"""Two stacks on one Stripe account, in two processes, with the same reservation ids: nothing of one moves the other."""

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from local import credentials
from local.fake_stripe import webhook_endpoints
from local.fake_stripe.stripe_faults import StripeFault
from local.fake_stripe.webhook_delivery import Mode
from shared.services.stripe_events import HANDLED
from tests.harness.admin_over_http import AdminOverHttp
from tests.harness.booking_driver import DECLINED, BookingDriver
from tests.harness.running_stack import RunningStack, run_stack
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from tests.harness.leaks import WatchedStack

BOOKINGS = int(os.environ.get("BOOKINGS", "50"))  # on each stack, all at once
SEED = 12
PARTLY = 1234  # cents
CONFIG = {"throttleRate": 5000, "throttleBurst": 5000, "stripeRetrySeconds": 2}
SECRET = "whsec_local_of_the_stack_beside"
WEBHOOKS: tuple[Mode | None, ...] = (None, "duplicate", "reverse", "hold")
FAULTS: tuple[tuple[str, StripeFault], ...] = (
    ("checkout.sessions.create", "server_error"),
    ("checkout.sessions.create", "timeout_after"),
    ("checkout.sessions.retrieve", "timeout_before"),
    ("checkout.sessions.retrieve", "rate_limit"),
    ("checkout.sessions.expire", "server_error_after"),
    ("refunds.create", "timeout_after"),
    ("refunds.create", "server_error_after"),
)


type End = tuple[str, str, str, int, int]


class Side(NamedTuple):
    """One of the two stacks: the name that its objects at Stripe carry, and the price of booking number 0 in cents."""

    stack: RunningStack
    name: str
    first_price: int


def pay(booking: BookingDriver) -> None:
    booking.pay()
    booking.release_webhooks()


def leave(booking: BookingDriver) -> None:
    booking.pay(DECLINED)
    booking.expire_at_stripe()
    booking.release_webhooks()
    booking.cancel()


def pay_too_late(booking: BookingDriver) -> None:
    booking.cancel()
    booking.force_payment()
    booking.release_webhooks()


def nothing(_: BookingDriver) -> None:
    pass


def cancel_stay(booking: BookingDriver) -> None:
    """Where many refunds start at once, one may not be entered yet when it is answered."""
    answer = booking.refund()
    assert answer.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED} or answer.outcome == (409, "REFUND_IN_PROGRESS")


def refund_in_dashboard(booking: BookingDriver) -> None:
    booking.stack.stripe.dashboard_refund(booking.payment_intent, PARTLY)


class Plan(NamedTuple):
    """What happens to a booking, and how it is after each of two steps, by its price in cents."""

    first: Callable[[BookingDriver], None]
    after_first: Callable[[int], End]
    then: Callable[[BookingDriver], None]
    at_end: Callable[[int], End]


# The reservation, its night, the payment, the cents paid and those returned.
def confirmed(price: int) -> End:
    return "confirmed", "booked", "completed", price, 0


def cancelled(price: int) -> End:
    return "cancelled", "available", "refunded", price, price


def returned_in_part(price: int) -> End:
    return "confirmed", "booked", "partially_refunded", price, PARTLY


def released(_: int) -> End:
    return "cancelled", "available", "expired", 0, 0


def released_and_returned(price: int) -> End:
    return "cancelled", "available", "expired", price, price


PLANS = (
    Plan(pay, confirmed, nothing, confirmed),
    Plan(pay, confirmed, cancel_stay, cancelled),
    Plan(pay, confirmed, refund_in_dashboard, returned_in_part),
    Plan(leave, released, nothing, released),
    Plan(pay_too_late, released_and_returned, nothing, released_and_returned),
)


@contextmanager
def stack_beside(stack: RunningStack) -> Iterator[RunningStack]:
    """A second deployment in another process, on the Stripe account of the first; each event goes to both."""
    keys = {"STRIPE_SECRET_KEY": credentials.STRIPE_API_KEY, "STRIPE_WEBHOOK_SECRET": SECRET}
    command = [sys.executable, "-m", "tests.harness.stack_beside", stack.url, json.dumps(CONFIG)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **keys}
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        admin = AdminOverHttp(url)
        with stack.stripe.lock:
            webhook = f"{url}/api/webhooks/stripe"
            webhook_endpoints.add(stack.stripe, webhook, enabled_events=sorted(HANDLED), secret=SECRET)
        beside = SimpleNamespace(url=url, fake_stripe=stack.stripe, outputs=admin.call("GET", "settings"))
        with closing(RunningStack(cast("WatchedStack", beside), admin=admin)) as running:
            running.faults = stack.faults
            stack.stripe.webhooks.retry_delays = (0.5, 1.0, *20 * (2.0,))
            yield running
        process.communicate()


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with run_stack(CONFIG, take_short_cut=True) as stack, stack_beside(stack) as beside:
        yield Side(stack, "booking-local", 10_000), Side(beside, "booking-dev", 20_000)


def reservation_id(number: int) -> str:
    return f"RES-{number:012x}"


def reserve(side: Side, number: int) -> BookingDriver:
    """The same id and night on both stacks, at a price that no other booking has."""
    reservation = side.stack.admin.reserve(
        nights=1,
        check_in=datetime.now(UTC).date() + timedelta(days=30 + number),
        total_amount=side.first_price + number,
        reservation_id=reservation_id(number),
    )
    return BookingDriver(side.stack, reservation)


def open_session(booking: BookingDriver) -> None:
    """Press "Pay now", and again after each failure of Stripe."""
    opened = {HTTPStatus.OK, HTTPStatus.CREATED}
    if booking.pay_now().status not in opened:
        wait_until(lambda: booking.retry().status in opened, f"a session of {booking.id}")


def end_of(booking: BookingDriver) -> End:
    payment = booking.payment
    paid = sum(capture["amount"] for capture in payment["captures"].values())
    returned = sum(refund["amount"] for refund in payment["refunds"].values() if refund["status"] == "succeeded")
    return booking.reservation_status, booking.nights_status, payment["status"], paid, returned


def wait_for(booking: BookingDriver, expected: End) -> None:
    wait_until(lambda: end_of(booking) == expected, lambda: f"{booking.id} to be {expected}: {booking.payment}")


def money_at_stripe(side: Side) -> dict[str, tuple[int, int]]:
    """Cents paid and returned, by the PaymentIntents that carry the stack's name."""
    stripe = side.stack.stripe
    intents = stripe.all("payment_intent", lambda one: one["metadata"]["stack"] == side.name and one["amount_received"])
    refunds = {intent["id"]: 0 for intent in intents}
    for refund in stripe.all("refund", lambda one: one["payment_intent"] in refunds):
        assert refund["metadata"].get("stack", side.name) == side.name
        refunds[refund["payment_intent"]] += refund["amount"]
    return {intent["id"]: (intent["amount_received"], refunds[intent["id"]]) for intent in intents}


def money_in_ledgers(side: Side, bookings: Iterable[BookingDriver]) -> dict[str, tuple[int, int]]:
    """The same, by what the stack has stored."""
    money: dict[str, tuple[int, int]] = {}
    for payment in [booking.payment for booking in bookings if booking.stack is side.stack]:
        for pi, capture in payment["captures"].items():
            returned = sum(refund["amount"] for refund in payment["refunds"].values() if refund["payment_intent"] == pi)
            money[pi] = capture["amount"], returned
    return money


def results_of_events(side: Side, of: Side) -> set[str]:
    """What one stack's webhook answered to events about PaymentIntents of another, or of its own."""
    stripe = side.stack.stripe
    theirs = {
        event["id"] for event in stripe.all("event", lambda one: stack_of(side, one["data"]["object"]) == of.name)
    }
    accepted = [
        sent
        for sent in stripe.webhooks.deliveries
        if sent.event_id in theirs and sent.url.startswith(side.stack.url) and sent.status == HTTPStatus.OK
    ]
    return {json.loads(sent.answer)["processing_result"] for sent in accepted}


def stack_of(side: Side, obj: Mapping[str, Any]) -> str:
    intent = side.stack.stripe.fetch(obj.get("payment_intent") or "") or obj
    return str((intent.get("metadata") or {}).get("stack", ""))


@pytest.mark.defect("R-01")
def test_two_stacks_on_one_account_with_the_same_reservation_ids_share_no_cent_and_no_date(
    sides: tuple[Side, Side],
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - faults are no secret
    faults = sides[0].stack.faults
    planned: dict[BookingDriver, tuple[Plan, int]] = {}
    for number, plans in zip(range(BOOKINGS), itertools.cycle(itertools.product(PLANS, PLANS)), strict=False):
        for side, plan in zip(sides, plans, strict=True):
            planned[reserve(side, number)] = plan, side.first_price + number
        faults.of[reservation_id(number)].webhooks = chance.choice(WEBHOOKS)
        for operation, kind in chance.sample(FAULTS, 2):
            faults.of[reservation_id(number)].fail_stripe(operation, kind)
    with ThreadPoolExecutor(2 * BOOKINGS) as guests:
        list(guests.map(open_session, planned))
        list(guests.map(lambda booking: planned[booking][0].first(booking), planned))
        for booking, (plan, price) in planned.items():
            wait_for(booking, plan.after_first(price))
        list(guests.map(lambda booking: planned[booking][0].then(booking), planned))
        for booking, (plan, price) in planned.items():
            wait_for(booking, plan.at_end(price))
    for side, other in (sides, sides[::-1]):
        assert money_in_ledgers(side, planned) == money_at_stripe(side)
        assert results_of_events(side, other) <= {"skipped", "duplicate"}
        assert "success" in results_of_events(side, side)
        assert not side.stack.notifications("UnmatchedCharge")
