"""`make bench-list` reads the list of 200 and of 2,000 payments in every state over HTTP, while others arrive.

Each reading has to have every payment once, in order, and to cost as many requests per page among 2,000 as among 200.
Writes docs/evidence/list-of-payments.md.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.aws import emulator
from shared.domain.models import iso
from tests.harness.booking_driver import BookingDriver
from tests.harness.copied_bookings import book_in_every_state, copy_bookings
from tests.harness.running_stack import RunningStack, start_stack

TARGET = Path(__file__).parents[1] / "docs" / "evidence" / "list-of-payments.md"
SIZES = (200, 2_000)
FUNCTION = "operations_api"

type Json = dict[str, Any]


class WrongListError(Exception):
    """A payment is missing, twice, of another query, or not in its place."""


class Reading:
    """All pages of one query. Raises WrongListError unless they hold exactly what is stored and fits the query."""

    def __init__(self, stack: RunningStack, fits: Callable[[Json], bool], query: Json) -> None:
        self.calls, self.times, self.rows = set[int](), list[float](), list[Json]()
        by, newest_first = ("attention_since", False) if "attention" in query else ("created_at", True)
        expected = {item["payment_id"]: item[by] for item in _stored(stack) if fits(item)}
        cursor: Json = {}
        while cursor or not self.times:
            self._read_page(stack, {**query, **cursor})
            cursor = {"cursor": self.cursor} if self.cursor else {}
            stack.reserve().pay_now()  # another payment arrives
        found = [row["payment_id"] for row in self.rows]
        times = [expected[payment_id] for payment_id in found]
        if len(found) != len(expected) or set(found) != set(expected) or times != sorted(times, reverse=newest_first):
            raise WrongListError(f"{query}: {len(found)} rows, {len(set(found))} different, of {len(expected)}")

    def _read_page(self, stack: RunningStack, query: Json) -> None:
        emulator.counts.clear()
        started = time.perf_counter()
        answer = stack.request("GET", "payments", stack.operator, params=query)
        self.times.append(time.perf_counter() - started)
        self.calls.add(sum(number for (caller, _), number in emulator.counts.operations.items() if caller == FUNCTION))
        answer.raise_for_status()
        self.rows += answer.json()["payments"]
        self.cursor = answer.json().get("cursor")


def _stored(stack: RunningStack) -> list[Json]:
    """Every payment item, and none of the others that are in their table."""
    found: list[Json] = []
    page: Json = {}
    while page.get("LastEvaluatedKey") or not found:
        after = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if page else {}
        page = stack.table("payments").scan(**after)
        found += [item for item in page["Items"] if "currency" in item]
    return found


def _queries(bookings: list[BookingDriver]) -> list[tuple[str, Callable[[Json], bool], Json]]:
    now = datetime.now(UTC)
    first, last = iso(now - timedelta(days=9)), iso(now - timedelta(hours=6))
    paid, partly = bookings[4], bookings[5]
    (refund_id,) = partly.payment["refunds"]
    by_status = [
        (f"status {status}", lambda item, status=status: item["status"] == status, {"status": status})
        for status in ("pending", "completed", "partially_refunded", "refunded", "expired")
    ]
    searches = [
        (f"search by {what}", lambda item, booking=booking: item["payment_id"] == booking.payment_id, {"q": wanted})
        for what, booking, wanted in (
            ("reservation", paid, paid.id),
            ("payment", paid, paid.payment_id),
            ("PaymentIntent", paid, paid.session_intent),
            ("refund", partly, refund_id),
        )
    ]
    return [
        ("all, 50 a page", lambda _: True, {}),
        ("all, 100 a page", lambda _: True, {"limit": "100"}),
        *by_status,
        ("one customer", lambda item: item.get("customer_id") == paid.customer_id, {"customer_id": paid.customer_id}),
        (
            "days from and to",
            lambda item: first <= item["created_at"] <= last,
            {"created_from": first, "created_to": last},
        ),
        (
            "status and days",
            lambda item: item["status"] == "refunded" and item["created_at"] >= first,
            {"status": "refunded", "created_from": first},
        ),
        ("what needs a person", lambda item: "attention_since" in item, {"attention": "true"}),
        *searches,
    ]


def main() -> int:
    readings: dict[str, list[Reading]] = {}
    with start_stack() as local, closing(RunningStack(local)) as stack:
        bookings, copied = book_in_every_state(stack), 0
        for size in SIZES:
            copy_bookings(stack, bookings, range(copied, size - len(bookings)))
            copied = size - len(bookings)
            for what, fits, query in _queries(bookings):
                readings.setdefault(what, []).append(Reading(stack, fits, query))
                print(size, what, len(readings[what][-1].rows), sorted(readings[what][-1].calls), flush=True)
    TARGET.write_text(_report(readings), encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))
    return 0 if all(max(few.calls) >= max(many.calls) for few, many in readings.values()) else 1


def _report(readings: dict[str, list[Reading]]) -> str:
    rows = [
        f"| {what} | {len(many.rows):,} | {len(many.times)} | {_calls(few)} | {_calls(many)} "
        f"| {statistics.median(many.times) * 1000:.0f} ms |"
        for what, (few, many) in readings.items()
    ]
    return "\n".join(
        [
            f"# The list of payments among {SIZES[1]:,}, {datetime.now(UTC).date()}",
            "",
            "`make bench-list` on the local stack: payments in ten states, copied from real ones. After each page",
            "another payment arrives. The pages of each reading together had every payment that was there at its",
            "beginning once, in order, and no other. The requests to DynamoDB are those of one page; a rare filter",
            "reads on, at most 200 payments a page. The times are the emulator's, which reads a whole table for each",
            "query of an index; DynamoDB does not.",
            "",
            f"| reading | payments | pages | requests a page among {SIZES[0]:,} | among {SIZES[1]:,} | median |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _calls(reading: Reading) -> str:
    fewest, most = min(reading.calls), max(reading.calls)
    return str(most) if fewest == most else f"{fewest} to {most}"


if __name__ == "__main__":
    sys.exit(main())
