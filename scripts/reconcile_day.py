"""Reconciles a day of a deployed stack with Stripe, and prints the result: `make ledger STACK=prod DAY=2026-11-27`.

It runs the stack's own function until the day is finished. Safe to run for any day, as often as you like.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import boto3
from botocore.config import Config

from scripts import stack_outputs
from shared.contracts.ledger_summary import LedgerDay

FUNCTION_SECONDS = 900


def reconcile(outputs: Mapping[str, Any], day: date) -> LedgerDay:
    """Run the function as often as the day needs, and return its summary. Raises RuntimeError if it fails."""
    patient = Config(
        region_name=stack_outputs.region(outputs), read_timeout=FUNCTION_SECONDS, retries={"total_max_attempts": 1}
    )
    functions = boto3.client("lambda", config=patient)
    payload = json.dumps({"day": day.isoformat()})
    while True:
        answer = functions.invoke(FunctionName=outputs["ledgerFunction"], Qualifier="live", Payload=payload)
        result = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RuntimeError(f"{result['errorType']}: {result['errorMessage']}")
        if "unfinished" not in result:
            break
    s3 = boto3.client("s3", config=patient)
    found = s3.get_object(Bucket=outputs["ledgerBucket"], Key=f"days/{day}/summary.json")
    return LedgerDay.model_validate_json(found["Body"].read())


def report(summary: LedgerDay) -> Iterator[str]:
    yield f"{summary.day}: {summary.transactions} transactions, {len(summary.differences)} differences"
    if not summary.final:
        yield "The day is not over: nothing is published, and no matter is opened."
    for whose, totals in (("ours", summary.ours), ("not ours", summary.not_ours)):
        for currency, categories in totals.items():
            for category, of in sorted(categories.items()):
                amounts = f"{of.gross / 100:14,.2f} {currency}, fees {of.fee / 100:,.2f}"
                yield f"  {whose:8} {category:18} {of.count:6} x {amounts}"
    for currency, net in summary.net.items():
        yield f"  Stripe's balance changed by {net / 100:,.2f} {currency}"
    for one in summary.differences:
        yield f"  {one.kind} ({one.payment_id or 'no booking'}): Stripe has {one.stripe}; the ledger has {one.ledger}"


def main(stack: str, day: str) -> None:
    outputs = stack_outputs.read(stack)
    try:
        summary = reconcile(outputs, date.fromisoformat(day))
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
    print("\n".join([*report(summary), f"  s3://{outputs['ledgerBucket']}/days/{day}/transactions.csv"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
