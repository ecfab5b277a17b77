"""A day of bookings in virtual time under the quotas of AWS and Stripe: `make bench SCALE=day`.

State machines, functions, timers and limits of the API are as deployed. Prints what was throttled and whether a booking
was lost; fails if one was.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from local.aws import aws_account
from local.aws.clients import table
from local.quotas import Quotas, default_quotas
from local.stack import LocalStack
from scripts.day_of_guests import DAY, SCHEDULED, Day, Guest

HTTP = {"payments_api", "operations_api", "stripe_webhook"}
RECONCILE_MINUTES = 15  # deployed, it runs every minute: here it helps less
RESULT = Path(__file__).parents[1] / "docs" / "evidence" / "day-at-scale.json"


@dataclass(frozen=True)
class Outcome:
    """What a day led to. `lost` and `not_confirmed`: bookings. `late`: seconds from each card to its confirmation."""

    paid: int
    left: int
    lost: list[str]
    not_confirmed: list[str]
    late: list[float]

    @classmethod
    def of(cls, day: Day, stack: LocalStack) -> "Outcome":
        """What Stripe has received and what the tables say, whatever the guests have seen."""
        confirmed_at = {
            event.detail["reservation_id"]: datetime.fromisoformat(event.at).timestamp()
            for event in aws_account.published
            if event.detail_type == "PaymentConfirmed"
        }
        stored = {item["reservation_id"]: item for item in _items(stack.outputs["reservationsTable"])}
        received: Counter[str] = Counter()
        for charge in stack.fake_stripe.all("charge", lambda charge: bool(charge["paid"])):
            received[charge["metadata"]["reservation_id"]] += charge["amount"] - charge["amount_refunded"]
        paid = [guest for guest in day.guests.values() if received[guest.reservation_id]]
        unpaid = [guest for guest in day.guests.values() if not received[guest.reservation_id]]
        return cls(
            paid=len(paid),
            left=len(unpaid),
            lost=[guest.reservation_id for guest in unpaid if guest.paid or _status(stored, guest) != "expired"],
            not_confirmed=[
                guest.reservation_id
                for guest in paid
                if _status(stored, guest) != "confirmed"
                or received[guest.reservation_id] != stored[guest.reservation_id]["total_amount"]
            ],
            late=sorted(
                confirmed_at[guest.reservation_id] - guest.paid
                for guest in paid
                if guest.reservation_id in confirmed_at
            ),
        )


def _items(name: str) -> Iterator[dict[str, Any]]:
    """All items of a table."""
    stored = table(name)
    for page in stored.meta.client.get_paginator("scan").paginate(TableName=stored.name):
        yield from page["Items"]


def _status(stored: Mapping[str, Any], guest: Guest) -> str:
    return str(stored.get(guest.reservation_id, {}).get("status"))


@dataclass(frozen=True)
class Report:
    """A day and its outcome. `work`: the calls of a booking on average, those of the schedules aside."""

    day: Day
    outcome: Outcome
    quotas: Quotas
    work: Mapping[str, float]

    @property
    def good(self) -> bool:
        """Whether no booking is lost, none is paid and unconfirmed, and every throttled call was repeated."""
        return not (self.outcome.lost or self.outcome.not_confirmed or self.quotas.not_repeated)

    def as_json(self) -> dict[str, Any]:
        late, waited = self.outcome.late, sorted(guest.waited for guest in self.day.guests.values() if guest.waited)
        return {
            "bookings": self.day.bookings,
            "paid": self.outcome.paid,
            "not paid": self.outcome.left,
            "lost": len(self.outcome.lost),
            "paid and not confirmed": len(self.outcome.not_confirmed),
            "throttled": dict(self.quotas.throttled),
            "throttled and not repeated": dict(self.quotas.not_repeated),
            "repeated and refused again": dict(self.quotas.refused_again),
            "guests asked again": {str(status): times for status, times in self.day.refused.items()},
            "guests without a page to pay on": self.day.bookings - len(waited),
            "seconds to the URL": _spread(waited),
            "seconds from card to confirmation": _spread(late),
            "functions at a time": self.quotas.most,
            "for a booking": dict(sorted(self.work.items())),
            "reads for a booking": {
                read: round(times / self.day.bookings, 3) for read, times in sorted(self.day.work.reads.items())
            },
            "hottest key, write units for a booking": {
                part: round(units / self.day.bookings, 3) for part, units in sorted(self.day.work.hottest().items())
            },
        }


def _spread(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "last": round(seconds[-1], 2)}


def play(
    bookings: int,
    limits: Mapping[str, tuple[float, float]],
    *,
    seconds: float = DAY,
    config: Mapping[str, str | int] = MappingProxyType({}),
) -> Report:
    """Play a day, of which `seconds` says how long it is, under these quotas."""
    quotas = Quotas(limits)
    with LocalStack(seed=1, config={"reconcileMinutes": RECONCILE_MINUTES, **config}) as stack:
        gc.collect()
        gc.freeze()  # what is imported and deployed stays, and need not be searched for garbage again and again
        day = Day(stack, quotas, bookings, seconds)
        day.run()
        return Report(day, Outcome.of(day, stack), quotas, _work(day, stack, quotas))


def _work(day: Day, stack: LocalStack, quotas: Quotas) -> dict[str, float]:
    calls: Counter[str] = Counter(day.work.units)
    calls["state transitions"] = quotas.transitions
    calls["HTTP requests"] = sum(len(aws_account.counts.functions[name]) for name in HTTP)
    for name, seconds in aws_account.counts.functions.items():
        calls["calls of functions"] += 0 if name in SCHEDULED else len(seconds)
    for (caller, operation), times in aws_account.counts.operations.items():
        service, _, name = operation.partition(".")
        if caller not in {None, *SCHEDULED} and service in {"sfn", "eventbridge"}:
            calls[name] += times
    for request in stack.fake_stripe.requests:
        if request.operation not in {"events.list", "balance_transactions.list"}:  # which only schedules call
            calls[f"Stripe {request.operation}"] += 1
    return {name: round(times / day.bookings, 3) for name, times in calls.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.day_at_scale", description=__doc__)
    parser.add_argument("bookings", nargs="?", type=int, default=5000)
    parser.add_argument("--halved", action="store_true", help="with half of every quota")
    parser.add_argument("--write", action="store_true", help=f"write the result to {RESULT.name}")
    given = parser.parse_args()
    divisor = 2 if given.halved else 1
    limits = {name: (rate / divisor, burst / divisor) for name, (rate, burst) in default_quotas().items()}
    began = time.process_time()
    report = play(given.bookings, limits)
    result = report.as_json()
    print(json.dumps(result, indent=2))
    print(f"{(time.process_time() - began) / given.bookings:.3f} s of CPU for each booking")
    if given.write:
        results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
        results[f"{given.bookings}{', quotas halved' if given.halved else ''}"] = result
        RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
