"""`make bench-ledger` reconciles days of 200, 2,000 and 20,000 transactions, and counts what each takes.

Bookings are written as they are stored after their payment, with their charges at the fake Stripe; every tenth charge
is of another system. Each day is reconciled twice: in one invocation, and in several that are cut short. Writes
docs/evidence/ledger-day.md.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from lambdas import reconcile_ledger
from local.aws import emulator
from local.fake_stripe import payment_intents
from local.fake_stripe.cards import CARDS
from local.stack import LocalStack
from scripts.reconciler_benchmark import write_items
from shared.adapters import ledger_files
from shared.domain.models import iso

TARGET = Path(__file__).parents[1] / "docs" / "evidence" / "ledger-day.md"
SIZES = (200, 2_000, 20_000)
FOREIGN = 10  # every tenth charge
AMOUNT = 45_000
PARTS = 4  # about so many invocations, where they are cut short
FUNCTION = "reconcile_ledger"


@dataclass(frozen=True)
class Run:
    """`progress`: the bytes that were kept between two invocations, at most."""

    calls: Counter[str]
    seconds: float
    invocations: int
    progress: int
    csv: str


def fill_day(stack: LocalStack, day: datetime, number: int) -> None:
    """Bookings that were paid on this day, and the charges of other systems between them."""
    items: list[dict[str, Any]] = []
    stripe = stack.fake_stripe
    with stripe.current():
        for count in range(number):
            intent = payment_intents.charge_without_session(
                stripe, CARDS["4242424242424242"], amount=AMOUNT, currency="eur", metadata={}
            )
            moment = day + timedelta(seconds=count * 86_400 // number)
            charge = stripe.get("charge", intent["latest_charge"])
            for made in (charge, stripe.get("balance_transaction", charge["balance_transaction"])):
                made["created"] = int(moment.timestamp())
            if count % FOREIGN:
                items += _stored(f"{number}-{count}", intent, moment)
    write_items(stack.outputs["paymentsTable"], items)


def _stored(name: str, intent: dict[str, Any], moment: datetime) -> list[dict[str, Any]]:
    """The items of a booking that is paid: the payment, its pointer and its day."""
    pi, payment_id, at = intent["id"], f"PAY-RES-{name}", iso(moment)
    capture = {"amount": AMOUNT, "currency": "EUR", "session": f"cs_{name}", "charge": intent["latest_charge"]}
    payment = {
        "payment_id": payment_id,
        "reservation_id": f"RES-{name}",
        "status": "completed",
        "captures": {pi: {**capture, "captured_at": at, "refundable": AMOUNT, "role": "booking"}},
        **dict.fromkeys(("hold_expires_at", "created_at", "updated_at"), at),
        **dict.fromkeys(("success_url", "cancel_url"), "https://stay.example"),
    }
    return [
        payment,
        {"payment_id": pi, "belongs_to": payment_id, "attempt": "1"},
        {"payment_id": f"{at[:10]}#{payment_id}", "money_day": at[:10], "recorded_at": at},
    ]


def run(stack: LocalStack, day: datetime, budget: float) -> Run:
    """One reconciliation, in as many invocations as it needs; `budget` is the seconds of each."""
    emulator.counts.clear()
    stack.fake_stripe.requests.clear()
    reconcile_ledger.BUDGET = budget
    date, kept, invocations = iso(day)[:10], [0], 0
    started = time.perf_counter()
    while True:
        answer, failed = emulator.invoke(stack.outputs["ledgerFunction"], {"day": date})
        if failed:
            raise RuntimeError(answer["errorMessage"])
        invocations += 1
        if "unfinished" not in answer:
            break
        progress = ledger_files.read_progress(day.date())
        kept.append(0 if progress is None else len(progress.model_dump_json()))
    seconds = time.perf_counter() - started
    if answer["differences"] != {date: 0}:
        raise RuntimeError(f"differences: {answer}")
    calls = Counter({name: n for (caller, name), n in emulator.counts.operations.items() if caller == FUNCTION})
    calls += Counter(f"stripe.{request.operation}" for request in stack.fake_stripe.requests)
    s3 = boto3.client("s3", region_name=emulator.REGION)
    found = s3.get_object(Bucket=stack.outputs["ledgerBucket"], Key=f"days/{date}/transactions.csv")
    return Run(calls, seconds, invocations, max(kept), found["Body"].read().decode())


def main() -> int:
    runs: list[tuple[int, Run, Run]] = []
    for back, size in enumerate(SIZES, start=2):
        with LocalStack(config={"reconcileMinutes": 1440}) as stack:
            day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=back)
            run(stack, day + timedelta(days=1), 600)  # imports, clients and secrets
            fill_day(stack, day, size)
            whole = run(stack, day, 600)
            runs.append((size, whole, run(stack, day, whole.seconds / PARTS)))
            print(runs[-1][0], *(one.seconds for one in runs[-1][1:]))
    TARGET.write_text(_report(runs), encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))
    return 0 if all(whole.csv == parts.csv for _, whole, parts in runs) else 1


def _report(runs: list[tuple[int, Run, Run]]) -> str:
    names = sorted({name for _, whole, _ in runs for name in whole.calls})
    rows = [
        f"| {size:,} | {' | '.join(str(whole.calls[name]) for name in names)} | {whole.seconds:.1f} |"
        f" {len(whole.csv) / 1e6:.2f} | {parts.invocations} | {parts.progress / 1e6:.2f} |"
        for size, whole, parts in runs
    ]
    return "\n".join(
        [
            f"# One day of the ledger, {datetime.now(UTC).date()}",
            "",
            "`make bench-ledger` on the local stack: a day of so many charges, of which every tenth is another",
            "system's. The seconds are the emulator's, which reads a whole table for each query of an index, and a",
            "fake Stripe's without a network. On AWS, each page of Stripe's takes about half a second (an assumption):",
            "a day of 20,000 transactions takes two minutes, in a function that has fifteen. Cut short, the day was",
            "reconciled in several invocations, with the same CSV, byte for byte; what is kept between them is the",
            "last column.",
            "",
            f"| transactions | {' | '.join(names)} | seconds | CSV, MB | invocations, cut short | kept, MB |",
            f"|---|{'---|' * len(names)}---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
