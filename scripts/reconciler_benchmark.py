"""`make bench-reconciler` counts the calls of one run of the reconciler, with ever more payments in the table.

A run has to cost what is due, not what exists: the same payments are due each time, among 10 and 100 times as many that
are settled or still open. Writes docs/evidence/reconciler-calls.md.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from local.aws import emulator
from local.stack import LocalStack
from scripts.benchmark import open_checkout, pay, reserve
from shared.adapters.dynamodb import serialize
from shared.domain.due import due_shard
from shared.domain.models import iso

TARGET = Path(__file__).parents[1] / "docs" / "evidence" / "reconciler-calls.md"
SIZES = (200, 2_000, 20_000)
WAITING, PAID = 10, 10  # payments that are due
BATCH = 25
FUNCTION = "reconcile_payments"


def _due(stack: LocalStack) -> list[str]:
    """Real bookings, of which some wait for their guest and some are paid; their payments' ids."""
    waiting = [reserve(stack) for _ in range(WAITING)]
    paid = [reserve(stack) for _ in range(PAID)]
    for booking in waiting:
        open_checkout(stack, booking)
    for booking in paid:
        pay(open_checkout(stack, booking)[1])
    for reservation_id, _ in paid:
        while stack.admin.payment(reservation_id)["status"] != "completed":
            time.sleep(0.1)
    return [f"PAY-{reservation_id}" for reservation_id, _ in (*waiting, *paid)]


def _others(number: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Reservations with their payments: settled, cancelled, paid, and waiting, none of them due."""
    now = datetime.now(UTC)
    later, before = iso(now + timedelta(hours=12)), iso(now - timedelta(hours=1))
    kinds: list[tuple[str, str, str | None]] = [
        ("expired", "expired", None),
        ("refunded", "cancelled", None),
        ("completed", "confirmed", later),
        ("pending", "pending", later),
    ]
    for count in range(number):
        payment_status, reservation_status, due_at = kinds[count % len(kinds)]
        name = f"RES-{number}-{count}"
        reservation = {"reservation_id": name, "status": reservation_status, "created_at": before}
        payment = {"payment_id": f"PAY-{name}", "reservation_id": name, "status": payment_status, "updated_at": before}
        if due_at is not None:
            payment |= {"due_at": due_at, "due_shard": due_shard(payment["payment_id"])}
        yield reservation, payment


def write_items(table: str, items: list[dict[str, Any]]) -> None:
    """Write items to a table, 25 at a time."""
    client = boto3.client("dynamodb")
    for start in range(0, len(items), BATCH):
        requests: Any = [{"PutRequest": {"Item": serialize(item)}} for item in items[start : start + BATCH]]
        client.batch_write_item(RequestItems={table: requests})


def _run(stack: LocalStack, due: list[str]) -> tuple[Counter[str], float]:
    """The calls of a run in which these payments are due, and its seconds."""
    client, table = boto3.client("dynamodb"), stack.outputs["paymentsTable"]
    for payment_id in due:
        client.update_item(
            TableName=table,
            Key={"payment_id": {"S": payment_id}},
            UpdateExpression="SET due_at = :past",
            ExpressionAttributeValues={":past": {"S": "2026-01-01T00:00:00.000Z"}},
        )
    emulator.counts.clear()
    stack.fake_stripe.requests.clear()
    started = time.perf_counter()
    stack.admin.reconcile()
    seconds = time.perf_counter() - started
    calls = Counter({name: n for (caller, name), n in emulator.counts.operations.items() if caller == FUNCTION})
    return calls + Counter(f"stripe.{request.operation}" for request in stack.fake_stripe.requests), seconds


def main() -> int:
    runs = []
    with LocalStack(config={"reconcileMinutes": 1440, "throttleRate": 5000, "throttleBurst": 5000}) as stack:
        due = _due(stack)
        _run(stack, due)  # imports, clients and secrets
        size = len(due)
        for wanted in SIZES:
            reservations, payments = zip(*_others(wanted - size), strict=True)
            write_items(stack.outputs["reservationsTable"], list(reservations))
            write_items(stack.outputs["paymentsTable"], list(payments))
            size = wanted
            runs.append((wanted, *_run(stack, due)))
            print(wanted, runs[-1])
    TARGET.write_text(_report(runs), encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))
    return 0 if len({tuple(sorted(calls.items())) for _, calls, _ in runs}) == 1 else 1


def _report(runs: list[tuple[int, Counter[str], float]]) -> str:
    names = sorted({name for _, calls, _ in runs for name in calls})
    rows = [
        f"| {size:,} | {calls.total()} | {' | '.join(str(calls[name]) for name in names)} | {seconds:.1f} |"
        for size, calls, seconds in runs
    ]
    return "\n".join(
        [
            f"# Calls of one run of the reconciler, {datetime.now(UTC).date()}",
            "",
            f"`make bench-reconciler` on the local stack. In each run, {WAITING} payments that wait for a guest and",
            f"{PAID} paid ones are due. The others, a quarter each, are released, cancelled, paid or waiting; none",
            "of them is due. The seconds are the emulator's, which reads a whole table for each query of an index;",
            "DynamoDB does not.",
            "",
            f"| payments | calls | {' | '.join(names)} | seconds |",
            f"|---|---|{'---|' * len(names)}---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
