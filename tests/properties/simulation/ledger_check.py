"""After a history: the ledger agrees with Stripe's balance on each of its days, and all days add up to the balance."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import boto3

from local.aws import emulator
from local.virtual_time.virtual_time import START
from tests.harness.reconciled_days import today
from tests.properties.simulation.simulated_stack import SimulatedStack

# An operator said that the money had gone another way, and the refund lives: RefundSettledTwice has notified them.
EXPECTED = {"doubled_refund"}


def ledger_violations(stack: SimulatedStack) -> Iterator[str]:
    s3 = boto3.client("s3", region_name=emulator.REGION)
    net: Counter[str] = Counter()
    for day in _days():
        answer, failed = emulator.invoke(stack.outputs["ledgerFunction"], {"day": day.isoformat()})
        if failed:
            yield f"17: {day} cannot be reconciled: {answer}"
            return
        found = s3.get_object(Bucket=stack.outputs["ledgerBucket"], Key=f"days/{day}/summary.json")
        summary: dict[str, Any] = json.loads(found["Body"].read())
        net.update(summary["net"])
        for one in summary["differences"]:
            if one["kind"] not in EXPECTED:
                yield f"17: {one['kind']}: Stripe has {one['stripe']}; the ledger has {one['ledger']}"
    balance = {currency.upper(): amount for currency, amount in stack.stripe.balance().items() if amount}
    if {currency: amount for currency, amount in net.items() if amount} != balance:
        yield f"17: the days add up to {dict(net)}, and the balance is {balance}"


def _days() -> Iterator[date]:
    day = START.date()
    while day <= today():
        yield day
        day += timedelta(days=1)
