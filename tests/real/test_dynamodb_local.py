"""The system on DynamoDB Local in place of moto's tables, and what only an engine with real concurrency can show."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from lambdas import confirm_reservation, release_hold, reserve_refund
from local import credentials
from local.aws import emulator
from local.fake_stripe.fake_stripe import FakeStripe
from shared import observability
from shared.adapters import dynamodb, payment_items
from shared.domain.errors import BookedElsewhere, BookingLost, NotRefundable, StoreBusy
from shared.settings import settings as function_settings
from tests.harness.builders import NOW, TOTAL, capture, payment
from tests.harness.lambda_environment import CONTEXT, ENVIRONMENT
from tests.harness.leaks import WatchedStack
from tests.harness.running_stack import RunningStack, quiet_imports
from tests.harness.stored_tables import Stored

pytestmark = pytest.mark.dynamodb_local

ROUNDS = 100
BUSY_TRIES = 20


@pytest.mark.parametrize(
    "command",
    [
        "pytest tests/unit/lambdas tests/unit/shared/adapters tests/unit/shared/services",
        "pytest tests/e2e",
        "tests.properties.simulation.run --histories 30 --processes 1",
    ],
)
def test_the_other_tests_pass_on_dynamodb_local(dynamodb_local: str, command: str) -> None:
    environment = os.environ | {credentials.DYNAMODB_ENDPOINT: dynamodb_local}
    tables = boto3.client(
        "dynamodb",
        endpoint_url=dynamodb_local,
        region_name=emulator.REGION,
        aws_access_key_id="a",
        aws_secret_access_key="s",
    )
    used = False
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command.split()], env=environment, stdout=output, stderr=output
        )
        while running.poll() is None:
            used = used or bool(tables.list_tables()["TableNames"])
            time.sleep(0.2)
        output.seek(0)
        assert running.returncode == 0, output.read().decode()
    assert used


# Concurrent calls.


@pytest.fixture
def stored(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    running = emulator.start(dynamodb_local)
    for cached in (dynamodb.client, function_settings):
        cached.cache_clear()
    yield Stored()
    for cached in (dynamodb.client, function_settings):
        cached.cache_clear()
    emulator.stop(running)


def store_paid_booking(stored: Stored, number: int) -> None:
    """Stores a booking whose capture is recorded, and has no role yet."""
    name = f"RES-{number}"
    check_in = date(2027, 1, 1) + timedelta(days=2 * number)
    nights = [str(check_in), str(check_in + timedelta(days=1))]
    item = {
        "reservation_id": name,
        "customer_id": "guest-1",
        "check_in": nights[0],
        "check_out": str(check_in + timedelta(days=2)),
        "status": "pending",
        "total_amount": TOTAL,
        "created_at": "2026-11-24T13:00:00.000Z",
    }
    held = [{"date": night, "status": "booked", "reservation_id": name} for night in nights]
    stored.put_all({"reservations": [item], "availability": held})
    stored.payment(payment(payment_id=f"PAY-{name}", reservation_id=name, captures={f"pi_{number}": capture()}))


def call_at_once(*calls: Callable[[], str]) -> list[str]:
    """The results of calls that start together, each in its own thread; StoreBusy is retried, as the workflow does."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], str]) -> str:
        observability._ACTOR.set(observability.Actor("guest:guest-1", "concurrent-call"))
        start.wait()
        for _ in range(BUSY_TRIES):
            try:
                return call()
            except StoreBusy:
                continue
        return "busy"

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def state_input(number: int) -> dict[str, str]:
    name = f"RES-{number}"
    return {"reservation_id": name, "payment_id": f"PAY-{name}", "execution": name}


def confirm(number: int) -> str:
    try:
        confirm_reservation.handler(state_input(number) | {"payment_intent": f"pi_{number}"}, CONTEXT)
    except BookingLost:
        return "lost"
    return "confirmed"


def release(number: int) -> str:
    try:
        release_hold.handler(state_input(number), CONTEXT)
    except BookedElsewhere:
        return "refused"
    return "released"


def cancel(number: int) -> str:
    item = payment(payment_id=f"PAY-RES-{number}", reservation_id=f"RES-{number}")
    return "cancelled" if payment_items.request_cancel(item, by="guest-1", now=NOW) else "refused"


def refund(number: int) -> str:
    pi = f"pi_{number}"
    requested = {"refund_id": f"REF-{pi}", "kind": "unapplied", "payment_intent": pi, "requested_by": "workflow"}
    try:
        reserve_refund.handler(state_input(number) | requested, CONTEXT)
    except NotRefundable:
        return "refused"
    return "reserved"


def end_state(stored: Stored, number: int) -> tuple[Any, ...]:
    """The statuses of reservation, payment and nights, the capture's role, whether to cancel, and the refunds."""
    item = stored.get("payments", f"PAY-RES-{number}")
    check_in = date(2027, 1, 1) + timedelta(days=2 * number)
    nights = {stored.get("availability", str(check_in + timedelta(days=day)))["status"] for day in (0, 1)}
    return (
        stored.get("reservations", f"RES-{number}")["status"],
        item["status"],
        "/".join(sorted(nights)),
        item["captures"][f"pi_{number}"].get("role"),
        "cancel_requested_at" in item,
        {name.removesuffix(f"_{number}"): int(entry["amount"]) for name, entry in item.get("refunds", {}).items()},
    )


@pytest.mark.parametrize(
    ("competing", "success", "other_end"),
    [
        (release, "released", ("expired", "expired", "available", None, False, {})),
        (cancel, "cancelled", ("pending", "pending", "booked", None, True, {})),
        (refund, "reserved", ("pending", "pending", "booked", "unapplied", False, {"REF-pi": TOTAL})),
    ],
)
@pytest.mark.defect("D-04", "D-33")
def test_of_a_confirmation_and_a_competing_change_exactly_one_happens(
    stored: Stored, competing: Callable[[int], str], success: str, other_end: tuple[Any, ...]
) -> None:
    """100 times at the same moment, and each time one of them completely and nothing of the other."""
    for number in range(ROUNDS):
        store_paid_booking(stored, number)
        results = call_at_once(partial(confirm, number), partial(competing, number))
        if results == ["confirmed", "refused"]:
            assert end_state(stored, number) == ("confirmed", "completed", "booked", "booking", False, {})
        else:
            assert results == ["lost", success]
            assert end_state(stored, number) == other_end


def pay_at_once(stripe: FakeStripe, reservation_id: str) -> None:
    """Pays the session as soon as it exists, before the workflow knows its URL."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with stripe.lock:
            sessions = stripe.all("checkout.session", lambda one: one["metadata"]["reservation_id"] == reservation_id)
        if sessions:
            stripe.pay(sessions[0]["id"])
            return
        time.sleep(0.002)


@pytest.mark.defect("P-12")
def test_a_payment_that_arrives_while_the_token_is_stored_is_confirmed(dynamodb_local: str) -> None:
    """100 times the event arrives before, while or after AwaitPayment stores its token."""
    config: dict[str, str | int] = {"throttleRate": 5000, "throttleBurst": 5000, "checkoutWindowSeconds": 60}
    with quiet_imports(), WatchedStack(config=config, dynamodb=dynamodb_local) as local:
        stack = RunningStack(local)

        def play(_: int) -> str:
            booking = stack.reserve()
            guest = threading.Thread(target=pay_at_once, args=(stack.stripe, booking.id))
            guest.start()
            booking.pay_now_once()
            guest.join()
            return booking.wait_for_end().visited[-1]

        with ThreadPoolExecutor(8) as guests:
            assert list(guests.map(play, range(ROUNDS))) == ["PaymentConfirmed"] * ROUNDS
