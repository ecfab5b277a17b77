"""What runs on moto's tables elsewhere, on AWS's own engine; and what only an engine with real concurrency can show."""

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
from local.stack import LocalStack
from shared.adapters import dynamodb, payment_items
from shared.domain.errors import BookedElsewhere, BookingLost, NotRefundable, StoreBusy
from shared.settings import settings as function_settings
from tests.harness.builders import NOW, TOTAL, capture, payment
from tests.harness.lambda_environment import CONTEXT, ENVIRONMENT
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
        "tests.properties.crash_points.crash_table --once",
        "tests.properties.simulation.run --histories 300 --processes 1",
    ],
)
def test_the_system_does_the_same_on_it(dynamodb_local: str, command: str) -> None:
    environment = os.environ | {credentials.DYNAMODB_ENDPOINT: dynamodb_local}
    tables = boto3.client(
        "dynamodb",
        endpoint_url=dynamodb_local,
        region_name=emulator.REGION,
        aws_access_key_id="a",
        aws_secret_access_key="s",
    )
    came_to_it = False
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command.split()], env=environment, stdout=output, stderr=output
        )
        while running.poll() is None:
            came_to_it = came_to_it or bool(tables.list_tables()["TableNames"])
            time.sleep(0.2)
        output.seek(0)
        assert running.returncode == 0, output.read().decode()
    assert came_to_it


# At the same time, with real threads.


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


def paid(stored: Stored, number: int) -> str:
    """A booking whose capture is recorded and has no role yet."""
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
    return name


def at_the_same_time(*calls: Callable[[], str]) -> list[str]:
    """Each in a thread of its own, let off together; a busy store is asked again, as the workflow does."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], str]) -> str:
        together.wait()
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
    of = payment(payment_id=f"PAY-RES-{number}", reservation_id=f"RES-{number}")
    return "cancelled" if payment_items.request_cancel(of, by="guest-1", now=NOW) else "refused"


def refund(number: int) -> str:
    pi = f"pi_{number}"
    order = {"refund_id": f"REF-{pi}", "kind": "unapplied", "payment_intent": pi, "requested_by": "workflow"}
    try:
        reserve_refund.handler(state_input(number) | order, CONTEXT)
    except NotRefundable:
        return "refused"
    return "reserved"


def ended(stored: Stored, number: int) -> tuple[Any, ...]:
    """Reservation, payment, nights, role of the capture, whether to be cancelled, refunds."""
    of = stored.get("payments", f"PAY-RES-{number}")
    check_in = date(2027, 1, 1) + timedelta(days=2 * number)
    nights = {stored.get("availability", str(check_in + timedelta(days=day)))["status"] for day in (0, 1)}
    return (
        stored.get("reservations", f"RES-{number}")["status"],
        of["status"],
        "/".join(sorted(nights)),
        of["captures"][f"pi_{number}"].get("role"),
        "cancel_requested_at" in of,
        {name.removesuffix(f"_{number}"): int(entry["amount"]) for name, entry in of.get("refunds", {}).items()},
    )


@pytest.mark.parametrize(
    ("beside", "success", "other_end"),
    [
        (release, "released", ("expired", "expired", "available", None, False, {})),
        (cancel, "cancelled", ("pending", "pending", "booked", None, True, {})),
        (refund, "reserved", ("pending", "pending", "booked", "unapplied", False, {"REF-pi": TOTAL})),
    ],
)
def test_a_confirmation_and_what_forbids_it_exclude_each_other(
    stored: Stored, beside: Callable[[int], str], success: str, other_end: tuple[Any, ...]
) -> None:
    """D-04 D-33: 100 times at the same moment; all of one or all of the other has happened."""
    for number in range(ROUNDS):
        paid(stored, number)
        told = at_the_same_time(partial(confirm, number), partial(beside, number))
        if told == ["confirmed", "refused"]:
            assert ended(stored, number) == ("confirmed", "completed", "booked", "booking", False, {})
        else:
            assert told == ["lost", success]
            assert ended(stored, number) == other_end


def pay_at_once(stripe: FakeStripe, reservation_id: str) -> None:
    """The guest's card is there the moment that the session is, before anybody has its URL."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with stripe.lock:
            made = stripe.all("checkout.session", lambda of: of["metadata"]["reservation_id"] == reservation_id)
        if made:
            stripe.pay(made[0]["id"])
            return
        time.sleep(0.002)


def test_a_token_is_written_beside_the_signal_that_it_is_for(dynamodb_local: str) -> None:
    """P-12: 100 times the event comes before, while and after AwaitPayment stores its token."""
    config: dict[str, str | int] = {"throttleRate": 5000, "throttleBurst": 5000, "checkoutWindowSeconds": 60}
    with quiet_imports(), LocalStack(config=config, dynamodb=dynamodb_local) as local:
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
