"""`make bench`: many bookings at once on the local stack; times, errors, and what one paid booking costs in calls.

The times are this machine's, with AWS, Stripe and the guests in one Python process; the counts are the system's own.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from local import engine
from local.stack import LocalStack

CARD = "4242424242424242"
TIMEOUT_SECONDS = 120
READS = {"BatchGetItem", "GetItem", "Query"}
WRITES = {"PutItem", "TransactWriteItems", "UpdateItem"}
# USD per unit in eu-west-1, from the public price list as of 2026-11-24: state transition, DynamoDB on-demand read
# and write request unit (an item is one unit to read consistently, two to write in a transaction), Lambda request.
TRANSITION, LAMBDA_REQUEST = 0.000025, 0.0000002


@dataclass(frozen=True)
class Timed:
    """One booking: seconds from "Pay now" to its URL, from the card to the confirmation, or what went wrong."""

    opened: float = 0.0
    confirmed: float = 0.0
    transitions: int = 0
    error: str | None = None


def _reserve(stack: LocalStack) -> tuple[str, str]:
    answer = requests.post(f"{stack.url}/local/reservations", json={"nights": 1}, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.json()["reservation_id"], answer.json()["guest_token"]


def _open(stack: LocalStack, booking: tuple[str, str]) -> tuple[float, str]:
    reservation_id, token = booking
    began = time.perf_counter()
    answer = requests.post(
        f"{stack.url}/api/payments/checkout-session",
        json={"reservation_id": reservation_id},
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_SECONDS,
    )
    took = time.perf_counter() - began
    if answer.status_code not in {200, 201}:
        raise RuntimeError(f"checkout-session answered {answer.status_code}")
    return took, answer.json()["checkout_url"]


def _play(stack: LocalStack, booking: tuple[str, str]) -> Timed:
    try:
        opened, url = _open(stack, booking)
        began = time.perf_counter()
        paid = requests.post(url, data={"card_number": CARD}, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        if paid.status_code != requests.codes.see_other:
            return Timed(error=f"the pay page answered {paid.status_code}")
        while True:
            execution = requests.get(f"{stack.url}/local/executions/{booking[0]}", timeout=TIMEOUT_SECONDS).json()
            if execution["status"] != "RUNNING":
                break
            if time.perf_counter() - began > TIMEOUT_SECONDS:
                return Timed(error="not confirmed in time")
            time.sleep(0.5)
    except (requests.RequestException, RuntimeError) as error:
        return Timed(error=str(error))
    if execution["status"] != "SUCCEEDED":
        return Timed(error=f"the execution {execution['status']}")
    return Timed(opened, time.perf_counter() - began, len(execution["visited"]))


def _percentiles(name: str, seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    return f"  {name:<28} p50 {cuts[49]:6.2f} s   p99 {cuts[98]:6.2f} s   worst {max(seconds):6.2f} s"


def _run(bookings: int) -> bool:
    """One stack, so many bookings at once; whether nothing went wrong."""
    with LocalStack(config={"throttleRate": 5000, "throttleBurst": 5000}) as stack:
        _play(stack, _reserve(stack))  # cold starts are not what is measured
        held = [_reserve(stack) for _ in range(bookings)]
        engine.counts.clear()
        stack.stand_in.requests.clear()
        with ThreadPoolExecutor(bookings) as pool:
            played = list(pool.map(lambda booking: _play(stack, booking), held))
        functions, operations = Counter(engine.counts.functions), Counter(engine.counts.operations)
        stripe = len(stack.stand_in.requests)
    errors = Counter(one.error for one in played if one.error)
    good = [one for one in played if one.error is None]
    print(f"\n{bookings} bookings at once: {len(good)} paid and confirmed, {sum(errors.values())} errors")
    for error, times in errors.items():
        print(f"  {times} times: {error}")
    if not good:
        return False
    print(_percentiles("Pay now → URL", [one.opened for one in good]))
    print(_percentiles("card → confirmed", [one.confirmed for one in good]))
    _tell_counts(len(good), [one.transitions for one in good], functions, operations, stripe)
    return not errors


def _tell_counts(
    bookings: int,
    transitions: list[int],
    functions: Counter[str],
    operations: Counter[tuple[str | None, str]],
    stripe: int,
) -> None:
    states = sum(n for name, n in functions.items() if name not in {"payments_api", "stripe_webhook"})
    http = sum(functions.values()) - states
    by = {
        kind: sum(n for (_, operation), n in operations.items() if operation.partition(".")[2] in names)
        for kind, names in (("reads", READS), ("writes", WRITES))
    }
    print(
        f"  per paid booking: {max(transitions)} transitions at most, {states / bookings:.2f} Lambda calls by states,"
    )
    print(f"    {http / bookings:.2f} Lambda calls by HTTP, {stripe / bookings:.2f} Stripe calls,")
    print(f"    {by['reads'] / bookings:.2f} DynamoDB reads, {by['writes'] / bookings:.2f} DynamoDB writes,")
    cost = max(transitions) * TRANSITION + sum(functions.values()) / bookings * LAMBDA_REQUEST
    print(f"    USD {cost:.6f} for transitions and Lambda requests")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.bench", description=__doc__)
    parser.add_argument("bookings", nargs="*", type=int, default=[50], help="how many at once, one run each")
    runs = [_run(bookings) for bookings in parser.parse_args().bookings]
    return 0 if all(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
