"""The tables go back to an earlier moment, and `make recover` brings them up to date."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lambdas.payments_api import polling
from scripts.recover import recovery
from scripts.recovery.recovery import Result
from tests.e2e.conftest import StackOverHttp
from tests.harness.booking_driver import REFUND_PENDING, BookingDriver
from tests.harness.table_restore import OURS, TABLES, backup, restore
from tests.harness.waiting import wait_until

ROOT = Path(__file__).parents[2]
PACE = "STRIPE_PER_SECOND"
# When it was opened, ended and written last is the recovery's own; what a token waited for is over.
OF_THE_MOMENT = {"attempts", "created_at", "updated_at", "due_at", "completed_at", "token_sequence"}


@pytest.fixture(autouse=True)
def decisions_of_tests(stack: StackOverHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refunds and disputes at Stripe change only when a test says so."""
    monkeypatch.setattr(stack.stripe, "refund_delay_seconds", 7 * 86_400)
    monkeypatch.setattr(stack.stripe, "dispute_delay_seconds", 7 * 86_400)


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody shares the limits of the fakes; only the program that is killed keeps them."""
    monkeypatch.setenv(PACE, "1000")
    monkeypatch.setattr("scripts.recover.STEP_FUNCTIONS_PER_SECOND", 1000)


def recover(since: datetime, *, plan: bool = False) -> Result:
    return recovery(since, plan=plan, workers=2).run()


def program(stack: StackOverHttp, since: datetime, *options: str) -> "subprocess.Popen[str]":
    """`make recover` against the AWS of the local stack."""
    own = {"AWS_ENDPOINT_URL": f"{stack.url}/local/aws", "AWS_REGION": "eu-west-1"}
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    environment = {name: value for name, value in os.environ.items() if name not in {"AWS_DEFAULT_REGION", PACE}}
    command = [sys.executable, "-W", "ignore", "-m", "scripts.recover", "local", since.isoformat(), *options]
    return subprocess.Popen(command, cwd=ROOT, env=environment | own | keys, stderr=subprocess.PIPE, text=True)


def run_program(stack: StackOverHttp, since: datetime, *options: str) -> str:
    """What it says."""
    with program(stack, since, *options) as running:
        said = running.communicate(timeout=120)[1]
    assert running.returncode == 0, said
    return said


def progress(since: datetime) -> Path:
    return ROOT / "build" / f"recover-local-{since:%Y%m%dT%H%M%S}.progress"


def paid(booking: BookingDriver, card: str = "4242424242424242") -> None:
    assert booking.pay_now().status == 201
    booking.pay(card)
    assert booking.wait_for_end().status == "SUCCEEDED"


# Times, and what belongs to executions and their waits.
_PASSING = re.compile(
    r"_at$|_since$|^since$|^execution$|^task_token$|^token_sequence$|^awaiting$|^due_shard$|^replacements$"
)


def timeless(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: timeless(inner) for name, inner in value.items() if not _PASSING.search(name)}


def stored(booking: BookingDriver) -> dict[str, Any]:
    """Of the payment item what does not depend on when it was written."""
    item = {name: value for name, value in timeless(booking.payment).items() if value}
    attempts = {key: [one["status"], one["counted"]] for key, one in item["attempts"].items()}
    return {**item, "attempts": attempts, "reservation": booking.reservation_status}


@pytest.mark.parametrize("tables", [TABLES, OURS], ids=["every table", "all but the platform's"])
def test_a_booking_that_was_paid_after_the_restored_moment_is_confirmed_again(
    stack: StackOverHttp, tables: tuple[str, ...]
) -> None:
    booking = stack.reserve()
    since, before = datetime.now(UTC), backup(stack.outputs, tables)
    paid(booking)
    known = booking.payment
    restore(before)
    assert booking.payment_or_empty == {}
    planned = recover(since, plan=True)
    assert booking.payment_or_empty == {}
    done = recover(since)
    assert done == planned
    pi = known["stripe_payment_intent_id"]
    assert done.changes[booking.id] == [
        "create the payment",
        f"enter attempt 1 of {booking.session}",
        f"enter the capture {pi}",
        f"confirm the booking with {pi}",
    ]
    assert booking.reservation_status == "confirmed"
    recovered = booking.payment
    same = known.keys() - OF_THE_MOMENT
    assert {name: recovered.get(name) for name in same} == {name: known[name] for name in same}
    assert [recovered["attempts"]["1"][name] for name in ("status", "counted")] == ["paid", 1]
    assert recover(since).changes == {}


def cancelled(booking: BookingDriver) -> None:
    paid(booking)
    assert booking.refund().status in {200, 202}
    booking.wait_for_refund_end()


def cancelled_for_nothing(booking: BookingDriver) -> None:
    """Nothing of this is at Stripe."""
    paid(booking)
    assert booking.refund(accept_no_refund=True).body["amount"] == 0
    booking.wait_for_refund_end()


def goodwill(booking: BookingDriver) -> None:
    paid(booking)
    booking.refund_goodwill(1_000)
    wait_until(lambda: booking.payment["refund_amount"] == 1_000, "the refund")


def declined(booking: BookingDriver) -> None:
    assert booking.pay_now().status == 201
    booking.pay("4000000000000002")
    wait_until(lambda: booking.payment["attempts"]["1"].get("declines"), "the decline")


def disputed(booking: BookingDriver) -> None:
    paid(booking)
    booking.stack.stripe.open_dispute(booking.payment_intent)
    wait_until(lambda: booking.payment["disputes"], "the dispute")


def refunded_in_dashboard(booking: BookingDriver) -> None:
    paid(booking)
    booking.stack.stripe.dashboard_refund(booking.payment_intent, 2_000)
    wait_until(lambda: booking.payment["refunds"], "the refund")


QUIET: list[Callable[[BookingDriver], None]] = [
    paid,
    cancelled,
    cancelled_for_nothing,
    goodwill,
    disputed,
    refunded_in_dashboard,
]


def reserve_quiet(stack: StackOverHttp) -> list[BookingDriver]:
    """A booking for each of what happens quietly; one of them is not refundable."""
    bookings = [stack.reserve() for _ in QUIET]
    bookings[QUIET.index(cancelled_for_nothing)].set_stored("reservations", "refund_policy", [])
    return bookings


def test_what_happened_since_the_restored_moment_is_there_again(stack: StackOverHttp) -> None:
    bookings = [*reserve_quiet(stack), stack.reserve()]
    since, before = datetime.now(UTC), backup(stack.outputs)
    for booking, happens in zip(bookings, (*QUIET, declined), strict=True):
        happens(booking)
    stack.stripe.webhooks.wait_until_idle()
    known = [stored(booking) for booking in bookings]
    restore(before)
    planned = recover(since, plan=True)
    done = recover(since)
    assert (done.changes, done.left) == (planned.changes, {})
    assert [stored(booking) for booking in bookings] == known
    assert recover(since).changes == {}


def test_who_is_still_paying_or_waiting_for_a_refund_goes_on(
    stack: StackOverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "PATIENCE", 0.5)  # of the calls that start the two refunds
    paying, waiting, failed, answered = (stack.reserve() for _ in range(4))
    since, before = datetime.now(UTC), backup(stack.outputs)
    assert paying.pay_now().status == 201
    for booking in (waiting, failed, answered):
        paid(booking, REFUND_PENDING)
        assert booking.refund().status in {200, 202}
        booking.wait_refund_in("AwaitRefundSettlement")
    pending, pending_at = backup(stack.outputs), datetime.now(UTC)
    for booking in (failed, answered):
        stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "failed")
        booking.wait_refund_in("AwaitOperator")
    asked, asked_at = backup(stack.outputs), datetime.now(UTC)
    assert answered.resolve(answered.cancellation_id, "settled_elsewhere", note="cash").status in {200, 202}
    answered.wait_for_refund_end()
    for at, items in ((asked_at, asked), (pending_at, pending), (since, before)):
        restore(items)
        assert recover(at).left == {}
        assert answered.entry()["status"] == "settled_elsewhere"
    assert paying.pay_on_page() == 303
    wait_until(lambda: paying.reservation_status == "confirmed", "the confirmation")
    waiting.wait_refund_in("AwaitRefundSettlement")
    stack.stripe.settle_refund(waiting.entry()["stripe_refund_id"], "succeeded")
    wait_until(lambda: waiting.entry()["status"] == "succeeded", "the refund")
    wait_until(lambda: failed.entry().get("awaiting") == "operator", "the wait for an operator")
    assert failed.resolve(failed.cancellation_id, "settled_elsewhere", note="cash").status in {200, 202}
    wait_until(lambda: failed.entry()["status"] == "settled_elsewhere", "the answer")
    assert [one.reservation_status for one in (waiting, failed)] == ["cancelled", "cancelled"]


def test_money_of_a_reservation_that_is_lost_too_is_left_alone_and_named(stack: StackOverHttp) -> None:
    since, before = datetime.now(UTC), backup(stack.outputs)
    booking = stack.reserve()
    paid(booking)
    lost = stack.table("reservations").get_item(Key={"reservation_id": booking.id})["Item"]
    nights = [stack.table("availability").get_item(Key={"date": night})["Item"] for night in booking.nights]
    restore(before)
    done = recover(since)
    assert done.left == {booking.id: f"no reservation {booking.id}"}
    assert booking.payment_or_empty == {}
    stack.table("reservations").put_item(Item={**lost, "status": "pending"})
    for night in nights:
        stack.table("availability").put_item(Item=night)
    assert recover(since).left == {}
    assert booking.reservation_status == "confirmed"


def test_a_recovery_that_is_killed_five_times_ends_as_one_that_is_not(stack: StackOverHttp) -> None:
    bookings = reserve_quiet(stack)
    since, before = datetime.now(UTC), backup(stack.outputs)
    for booking, happens in zip(bookings, QUIET, strict=True):
        happens(booking)
    stack.stripe.webhooks.wait_until_idle()
    restore(before)
    run_program(stack, since)
    known = [stored(booking) for booking in bookings]
    restore(before)
    for lines in range(5):
        _kill_after(lines, program(stack, since), since)
    planned = run_program(stack, since, "--plan")
    assert changes(run_program(stack, since)) == changes(planned)
    assert not progress(since).exists()
    assert [stored(booking) for booking in bookings] == known


def _kill_after(lines: int, running: "subprocess.Popen[str]", since: datetime) -> None:
    wait_until(lambda: _lines(since) >= lines or running.poll() is not None, "some progress")
    with running:
        running.kill()


def _lines(since: datetime) -> int:
    return len(progress(since).read_text().splitlines()) if progress(since).exists() else 0


def changes(said: str) -> set[str]:
    return set(re.findall(r"^RES-.*$", said, re.MULTILINE))
