"""Runs of the reconciler, with what it finds and what it does about it."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from lambdas import reconcile_payments
from local.fake_stripe.fake_stripe import FakeStripe
from shared.domain.due import due_shard
from shared.domain.models import iso
from tests.harness.builders import HOUR, NOW
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT
from tests.harness.payments_api_calls import SleepingTime
from tests.harness.stored_tables import Stored

type Json = dict[str, Any]
RUN = {"ReconcilerRuns": 1, "ItemsLeft": 1, "OldestDue": 1}  # the metrics of every run on schedule
DAY = timedelta(days=1)
URLS = {name: f"https://stay.example/booking/{name.removesuffix('_url')}" for name in ("success_url", "cancel_url")}
BOOKING: Json = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1"}
PAYMENT_INPUT = (
    BOOKING | {"customer_id": "", "due_shard": due_shard("PAY-RES-1"), "hold_expires_at": iso(NOW + 22 * HOUR)} | URLS
)


def notification(name: str, what: str) -> str:
    return f"{name}: reservation RES-1, payment PAY-RES-1: {what}. See docs/operations.md#{name.lower()}."


class Reconciler:
    """Runs the reconciler on what is stored, and on fakes of Stripe and of the AWS clients."""

    def __init__(self, stored: Stored, stripe_account: FakeStripe, clock: Clock, aws: FakeAws) -> None:
        self.stored, self.stripe, self.clock, self.aws = stored, stripe_account, clock, aws
        self.time = SleepingTime()
        self.metrics: list[str] = []

    def run(self, dead: Json | None = None) -> dict[str, int]:
        """Run on schedule, or on the event of a dead execution; return what it found, which it counts as metrics."""
        self.metrics.clear()
        event = {} if dead is None else {"source": "aws.states", "detail": dead}
        found: dict[str, int] = reconcile_payments.handler(event, CONTEXT)
        assert Counter(self.metrics) == Counter(found | (RUN if dead is None else {}))
        return found

    def run_counting(self, expected: dict[str, int]) -> None:
        """Run on schedule and find nothing; the metrics are these."""
        self.metrics.clear()
        assert reconcile_payments.handler({}, CONTEXT) == {}
        assert Counter(self.metrics) == Counter(expected | RUN)

    def dead(self, name: str, execution_input: Json, *, in_event: bool) -> Json:
        """Let an execution fail; return the detail of the event, which has no input if that is encrypted."""
        self.aws.executions[name], self.aws.inputs[name] = "FAILED", execution_input
        arn = f"arn:aws:states:eu-west-1:123456789012:execution:payment:{name}"
        return {"status": "FAILED", "executionArn": arn, "input": json.dumps(execution_input) if in_event else None}

    def run_with_failures(self, failures: int) -> dict[str, int]:
        """Run into so many items that cannot be reconciled; return what it found besides."""
        self.metrics.clear()
        with pytest.raises(RuntimeError, match=f"{failures} items could not be reconciled; found ") as raised:
            reconcile_payments.handler({}, CONTEXT)
        found = Counter(self.metrics) - Counter(RUN)
        assert str(raised.value).endswith(f" found {dict(found)}")
        return found

    @property
    def item(self) -> Json:
        return self.stored.get("payments", "PAY-RES-1")

    def run_when_due(self) -> dict[str, int]:
        """Run at the time when the payment is due, and return what it found."""
        self.clock.advance(max(timedelta(0), datetime.fromisoformat(self.item["due_at"]) - self.clock.now))
        return self.run()

    @property
    def started(self) -> list[tuple[str, Json]]:
        return self.aws.started

    def count(self, name: str, *_: object, kind: str = "") -> None:
        """Takes the place of the metrics that the reconciler emits."""
        self.metrics.append(kind if name == "Reconciled" else name)
