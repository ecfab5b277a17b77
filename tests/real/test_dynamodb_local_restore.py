"""A restore of the tables in DynamoDB Local, in the middle of a busy day, and the recovery from it."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import pytest

from scripts.recover import recovery
from tests.harness.booking_driver import DECLINED, REFUND_PENDING, VISA, BookingDriver
from tests.harness.leaks import WatchedStack
from tests.harness.running_stack import RunningStack, quiet_imports
from tests.harness.table_restore import backup, restore
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.dynamodb_local

AT_ONCE = 8
PAID_BEFORE, PAID, CANCELLED, GOODWILL, IN_FLIGHT = 40, 80, 20, 10, 50

type Happens = Callable[[BookingDriver], object]


def pay(booking: BookingDriver, card: str = VISA) -> None:
    assert booking.pay_now().status in {200, 201}
    booking.pay(card)
    assert booking.wait_for_end().status == "SUCCEEDED"


def cancel(booking: BookingDriver) -> None:
    pay(booking)
    assert booking.refund().status in {200, 202}
    booking.wait_for_refund_end()


def refund_some(booking: BookingDriver) -> None:
    pay(booking)
    booking.refund_goodwill(1_000)
    wait_until(lambda: booking.payment["refund_amount"] == 1_000, "the refund")


def begin(booking: BookingDriver) -> None:
    """Press "Pay now", and perhaps have a card declined."""
    assert booking.pay_now().status in {200, 201}
    if int(booking.id[-1], 16) % 2:
        booking.pay(DECLINED)


def await_refund(booking: BookingDriver) -> None:
    pay(booking, REFUND_PENDING)
    assert booking.refund().status in {200, 202}
    booking.wait_refund_in("AwaitRefundSettlement")


def test_two_hundred_bookings_of_which_fifty_are_in_flight_are_recovered(dynamodb_local: str) -> None:
    config: dict[str, str | int] = {"throttleRate": 5000, "throttleBurst": 5000}
    with (
        quiet_imports(),
        WatchedStack(config=config, dynamodb=dynamodb_local) as local,
        closing(RunningStack(local, nights=1)) as stack,
    ):
        stack.stripe.refund_delay_seconds = 7 * 86_400
        _play(stack)


def _play(stack: RunningStack) -> None:
    def reserved(number: int) -> list[BookingDriver]:
        return [stack.reserve() for _ in range(number)]

    before, after = reserved(PAID_BEFORE), reserved(PAID)
    cancelled, goodwill = reserved(CANCELLED), reserved(GOODWILL)
    paying_before, paying, waiting = reserved(IN_FLIGHT // 2 - 5), reserved(IN_FLIGHT // 2 - 5), reserved(10)
    _at_once(pay, before)
    _at_once(begin, paying_before)
    since, items = datetime.now(UTC), backup(stack.outputs)
    for happens, bookings in ((pay, after), (cancel, cancelled), (refund_some, goodwill), (begin, paying)):
        _at_once(happens, bookings)
    _at_once(await_refund, waiting)
    _at_once(BookingDriver.pay, paying_before[:10])
    stack.stripe.webhooks.wait_until_idle()

    restore(items)
    planned = recovery(since, plan=True).run()
    done = recovery(since).run()
    assert done.left == {}
    assert done.changes.keys() >= {booking.id for booking in (*after, *cancelled, *goodwill, *paying, *waiting)}
    assert {name: planned.changes.get(name) for name in done.changes} == done.changes
    stack.admin.reconcile()

    _at_once(BookingDriver.pay, [*paying, *paying_before[10:]])
    for booking in waiting:
        stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "succeeded")
    for booking in (*before, *after, *goodwill, *paying_before, *paying):
        _wait_for(booking, reservation="confirmed")
    for booking in (*cancelled, *waiting):
        _wait_for(booking, reservation="cancelled")
        wait_until(partial(_refunded, booking), "the refund", seconds=120)
    _check_money(stack, {1_000: len(goodwill), stack.total_amount: len(cancelled) + len(waiting)})


def _at_once(happens: Happens, bookings: Sequence[BookingDriver]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as people:
        list(people.map(happens, bookings))


def _wait_for(booking: BookingDriver, *, reservation: str) -> None:
    wait_until(lambda: booking.reservation_status == reservation, f"{booking.id} to be {reservation}", seconds=120)


def _refunded(booking: BookingDriver) -> bool:
    return bool(booking.payment["status"] == "refunded")


def _check_money(stack: RunningStack, refunds: dict[int, int]) -> None:
    """Nobody was charged twice, and nothing was refunded but what people had asked for."""
    charged = Counter(intent["metadata"]["reservation_id"] for intent in stack.stripe.all("payment_intent", _succeeded))
    assert set(charged.values()) == {1}
    assert len(charged) == PAID_BEFORE + PAID + CANCELLED + GOODWILL + IN_FLIGHT
    assert Counter(refund["amount"] for refund in stack.stripe.all("refund", lambda _: True)) == refunds


def _succeeded(intent: dict[str, object]) -> bool:
    return intent["status"] == "succeeded"
