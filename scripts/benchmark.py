"""`make bench` runs many bookings at once on the local stack, and prints times, errors and the calls per paid booking.

The times depend on this machine, where AWS, Stripe and the guests share one Python process; the counts do not.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import requests

from local.aws import emulator
from local.aws.dynamodb_local import dynamodb_local
from local.aws.request_units import READS, WRITES, MeteredRequest, meter
from local.external_tools import ToolUnavailableError
from local.stack import LocalStack
from scripts.day_of_guests import SCHEDULED

CARD = "4242424242424242"
TIMEOUT_SECONDS = 300
SEQUENTIAL_BOOKINGS = 20
HTTP = {"payments_api", "operations_api", "stripe_webhook"}


def reserve(stack: LocalStack) -> tuple[str, str]:
    answer = requests.post(f"{stack.url}/local/reservations", json={"nights": 1}, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.json()["reservation_id"], answer.json()["guest_token"]


def open_checkout(stack: LocalStack, booking: tuple[str, str]) -> tuple[float, str]:
    """The seconds from "Pay now" to the session's URL, and the URL. Raises RuntimeError."""
    reservation_id, token = booking
    started = time.perf_counter()
    for _ in range(TIMEOUT_SECONDS):
        answer = requests.post(
            f"{stack.url}/api/payments/checkout-session",
            json={"reservation_id": reservation_id},
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SECONDS,
        )
        if answer.status_code != requests.codes.accepted:
            break
        # Not ready after 8 s: asks again, as a front end does.
        time.sleep(1)
    if answer.status_code not in {200, 201}:
        raise RuntimeError(f"checkout-session answered {answer.status_code}")
    return time.perf_counter() - started, answer.json()["checkout_url"]


def pay(url: str) -> datetime:
    started = datetime.now(UTC)
    paid = requests.post(url, data={"card_number": CARD}, allow_redirects=False, timeout=TIMEOUT_SECONDS)
    if paid.status_code != requests.codes.see_other:
        raise RuntimeError(f"the pay page answered {paid.status_code}")
    return started


def pay_for_one(stack: LocalStack, booking: tuple[str, str]) -> list[MeteredRequest]:
    """What a booking requests of DynamoDB that is paid for, with nobody else about."""
    meter.start()
    pay(open_checkout(stack, booking)[1])
    wait_for_ends(stack)
    stack.fake_stripe.webhooks.wait_until_idle()
    return meter.stop()


def _call_at_once[Argument, Result](
    pool: ThreadPoolExecutor, call: Callable[[Argument], Result], arguments: Sequence[Argument], errors: Counter[str]
) -> list[Result | None]:
    """The results of `call`, all started at once; where one fails, None and a count in `errors`."""

    def attempt(argument: Argument) -> Result | None:
        try:
            return call(argument)
        except (requests.RequestException, RuntimeError) as error:
            errors[str(error)] += 1
            return None

    return list(pool.map(attempt, arguments))


def wait_for_ends(stack: LocalStack) -> dict[str, Mapping[str, Any]]:
    """Every payment execution by name, once none is running or the time is up."""
    states = boto3.client("stepfunctions")
    machine = stack.outputs["paymentStateMachineArn"]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return {entry["name"]: entry for page in pages for entry in page["executions"]}


def _p50_and_p99(seconds: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else list(seconds) * 99
    return cuts[49], cuts[98]


def _percentiles(name: str, seconds: Sequence[float]) -> str:
    p50, p99 = _p50_and_p99(seconds)
    return f"  {name:<28} p50 {p50:7.3f} s   p99 {p99:7.3f} s   worst {max(seconds):7.3f} s"


@dataclass(frozen=True)
class RunResult:
    """The number of errors; the seconds to the session's URL, and from the card to the confirmation."""

    errors: int
    opened: Sequence[float] = ()
    confirmed: Sequence[float] = ()


def _run(bookings: int, dynamodb: str | None) -> RunResult:
    """Runs this number of bookings at once, on a stack that stores its items in moto or in the DynamoDB at the address.

    All guests press "Pay now" at once, and once all have their page, all pay at once.
    """
    errors: Counter[str] = Counter()
    with (
        LocalStack(
            config={"throttleRate": 5000, "throttleBurst": 5000}, dynamodb=dynamodb, take_short_cut=True
        ) as stack,
        ThreadPoolExecutor(bookings) as pool,
    ):
        # First one after another: this ends the cold starts, and measures each function without the others' load.
        for first in (reserve(stack) for _ in range(SEQUENTIAL_BOOKINGS)):
            alone = pay_for_one(stack, first)
        sequential = dict(emulator.counts.functions)
        before = set(wait_for_ends(stack))
        held = [reserve(stack) for _ in range(bookings)]
        emulator.counts.clear()
        stack.fake_stripe.requests.clear()
        meter.start()
        opened = _call_at_once(pool, lambda booking: open_checkout(stack, booking), held, errors)
        cards = _call_at_once(pool, pay, [page[1] for page in opened if page], errors)
        ends = wait_for_ends(stack)
        # Without what schedules do, who ask Stripe as well, and most of it in the early morning.
        metered = [request for request in meter.stop() if request.caller not in SCHEDULED]
        functions = {name: calls for name, calls in emulator.counts.functions.items() if name not in SCHEDULED}
        operations = Counter({of: n for of, n in emulator.counts.operations.items() if of[0] not in SCHEDULED})
        stripe = sum((request.operation or "").startswith("checkout.") for request in stack.fake_stripe.requests)
        executions = [
            requests.get(f"{stack.url}/local/executions/{name}", timeout=TIMEOUT_SECONDS).json()
            for name in ends.keys() - before
        ]
    paid = [booking[0] for booking, page in zip(held, opened, strict=True) if page]
    confirmed = [
        (ends[reservation_id]["stopDate"] - started).total_seconds()
        for reservation_id, started in zip(paid, cards, strict=True)
        if started and ends[reservation_id]["status"] == "SUCCEEDED"
    ]
    missing = bookings - len(confirmed) - errors.total()
    if missing:
        errors["not confirmed"] = missing
    done = f"{len(confirmed)} paid and confirmed, {errors.total()} errors"
    print(f"\n{bookings} bookings at once on {_engine_name(dynamodb)}: {done}")
    for error, times in errors.items():
        print(f"  {times} times: {error}")
    if not confirmed:
        return RunResult(errors.total())
    print(f"  functions, {SEQUENTIAL_BOOKINGS} bookings one after another:")
    for name, seconds in sorted(sequential.items()):
        print(_percentiles(f"  {name}", seconds))
    seconds_to_url = [page[0] for page in opened if page]
    print(_percentiles("Pay now → URL", seconds_to_url))
    print(_percentiles("card → confirmed", confirmed))
    transitions = max(len(execution["visited"]) for execution in executions)
    _print_costs(len(confirmed), transitions, functions, operations, stripe=stripe, metered=metered)
    if alone:
        _print_requests(alone)
    return RunResult(errors.total(), seconds_to_url, confirmed)


def _engine_name(dynamodb: str | None) -> str:
    return "moto" if dynamodb is None else "DynamoDB Local"


def _print_comparison(runs: Mapping[tuple[int, str | None], RunResult]) -> None:
    """Prints the runs beside each other, one a line."""
    print("\nseconds p50 / p99         Pay now → URL    card → confirmed   errors")
    for (bookings, dynamodb), run in runs.items():
        columns = [
            "{:.2f} / {:.2f}".format(*_p50_and_p99(seconds)) if len(seconds) > 1 else "-"
            for seconds in (run.opened, run.confirmed)
        ]
        print(f"{bookings:4} on {_engine_name(dynamodb):14} {columns[0]:>17}  {columns[1]:>17}   {run.errors}")


def _count(operations: Counter[tuple[str | None, str]], service: str, names: set[str]) -> int:
    return sum(n for (_, operation), n in operations.items() if operation in {f"{service}.{name}" for name in names})


def _print_costs(
    bookings: int,
    transitions: int,
    functions: Mapping[str, Sequence[float]],
    operations: Counter[tuple[str | None, str]],
    *,
    stripe: int,
    metered: Sequence[MeteredRequest],
) -> None:
    http = sum(len(calls) for name, calls in functions.items() if name in HTTP)
    states = sum(len(calls) for name, calls in functions.items() if name not in HTTP)
    print(f"  per paid booking: {transitions} transitions at most, {states / bookings:.2f} Lambda calls by states,")
    print(f"    {http / bookings:.2f} Lambda calls by HTTP, {stripe / bookings:.2f} Stripe calls,")
    reads, writes = _count(operations, "dynamodb", READS), _count(operations, "dynamodb", WRITES)
    print(f"    {reads / bookings:.2f} DynamoDB reads, {writes / bookings:.2f} DynamoDB writes,")
    if metered:
        print(f"    {_units(metered, bookings)}; docs/costs.md has their prices")


def _units(metered: Sequence[MeteredRequest], bookings: int = 1) -> str:
    read, write, index, audit = (
        sum(units) / bookings
        for units in zip(*((of.read, of.write, of.index, of.audit) for of in metered), strict=True)
    )
    return f"{read:.1f} read units, {write:.1f} write units ({index:.1f} for indexes, {audit:.1f} for audit entries)"


def _print_requests(requests: Sequence[MeteredRequest]) -> None:
    """Prints every request to DynamoDB of one booking, one a line."""
    print(f"  one booking alone: {_units(requests)} in {len(requests)} requests")
    for one in requests:
        print(f"    {one.caller:24} {one.operation:19} {one.read:3g} read {one.write:3g} write  {one.what}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark", description=__doc__)
    parser.add_argument(
        "bookings", nargs="*", type=int, default=[50], help="the number of bookings at once; one run for each number"
    )
    arguments = parser.parse_args()
    with ExitStack() as stack:
        engines: list[str | None] = [None]
        try:
            engines.append(stack.enter_context(dynamodb_local()))
        except ToolUnavailableError as reason:
            print(reason)
        runs = {
            (bookings, dynamodb): _run(bookings, dynamodb) for bookings in arguments.bookings for dynamodb in engines
        }
    _print_comparison(runs)
    return 1 if any(run.errors for run in runs.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
