"""Days that are reconciled with Stripe: running the function, reading its files, and moving money to another day."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3

from local.aws import emulator
from tests.harness.booking_driver import BookingDriver
from tests.harness.running_stack import RunningStack

type Json = dict[str, Any]


def today() -> date:
    return datetime.now(UTC).date()


def reconcile(stack: RunningStack, day: date | None = None) -> Json:
    """Run the function for one day, or as its schedule does; its answer."""
    event = {"source": "schedule"} if day is None else {"day": day.isoformat()}
    answer, failed = emulator.invoke(stack.outputs["ledgerFunction"], event)
    assert not failed, answer
    return dict(answer)


def read_file(stack: RunningStack, day: date, name: str) -> str:
    s3 = boto3.client("s3", region_name=emulator.REGION)
    found = s3.get_object(Bucket=stack.outputs["ledgerBucket"], Key=f"days/{day}/{name}")
    return str(found["Body"].read().decode())


def summary_of(stack: RunningStack, day: date) -> Json:
    found: Json = json.loads(read_file(stack, day, "summary.json"))
    return found


def rows_of(stack: RunningStack, day: date) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(read_file(stack, day, "transactions.csv"))))


def differences_of(stack: RunningStack, day: date) -> list[str]:
    """The kinds of the differences that a day has when it is reconciled now."""
    reconcile(stack, day)
    return sorted(one["kind"] for one in summary_of(stack, day)["differences"])


def move_to_yesterday(booking: BookingDriver) -> date:
    """Let the booking's charge have been made and recorded a day before; that day."""
    stack, pi = booking.stack, booking.payment_intent
    day, moment = today() - timedelta(days=1), datetime.now(UTC) - timedelta(days=1)
    charge = booking.payment["captures"][pi]["charge"]
    for transaction in stack.stripe.all("balance_transaction", lambda one: bool(one["source"] == charge)):
        transaction["created"] -= 86_400
    booking.set_stored("payments", f"captures.{pi}.captured_at", moment.isoformat())
    moved = {"payment_id": f"{day}#{booking.payment_id}", "money_day": day.isoformat()}
    stack.table("payments").put_item(Item={**moved, "recorded_at": moment.isoformat(timespec="milliseconds")})
    return day
