import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.properties.crash_points.crash_scenarios import (
    Actor,
    Scenario,
    cancelled_unpaid,
    dashboard_refund_that_fails,
    declined_then_paid,
    disputed,
    paid,
    stay_cancelled,
)
from tests.properties.fuzzing.malformed_requests import answered
from tests.properties.simulation.world import Json, World, world


class Target:
    """A stack with a booking in each condition, and what must not change by what it is sent."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.url = made.stack.url
        self.paid, self.released, self.refunded, self.waiting = (Actor(made) for _ in range(4))
        scenarios: list[tuple[Scenario, Actor]] = [
            (paid, self.paid),
            (cancelled_unpaid, self.released),
            (stay_cancelled, self.refunded),
        ]
        # Their events are wanted, and nothing else of them.
        scenarios += [(one, Actor(made)) for one in (declined_then_paid, dashboard_refund_that_fails, disputed)]
        for scenario, actor in scenarios:
            scenario(actor)
        self.waiting.opens()
        for _, actor in scenarios:
            actor.ends()
        self.operator = str(made.admin.token("CUST-operator", groups=["operators"])["token"])
        self.stranger = str(made.admin.token("CUST-stranger")["token"])
        self.access = str(made.admin.token(f"{self.paid.played.id}", groups=["operators"])["access_token"])
        self._log_read = 0
        self.document: Json = made.stack.deployment.openapi
        self.stage = str(made.stack.deployment.stage["name"])

    @property
    def live(self) -> list[str]:
        return [self.paid.played.id, self.waiting.played.id]

    @property
    def over(self) -> list[str]:
        return [self.released.played.id, self.refunded.played.id]

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of each operation that the document has."""
        return [
            (method.upper(), f"/{self.stage}{path}")
            for path, item in sorted(self.document["paths"].items())
            for method in sorted(item)
            if path != "/webhooks/stripe" and method in {"get", "post", "put", "delete", "patch"}
        ]

    def state(self) -> Json:
        """Every booking and every execution."""
        tables: dict[str, Any] = {}
        for name in ("paymentsTable", "reservationsTable", "availabilityTable"):
            items: Any = self.world.dynamodb.scan(TableName=self.world.stack.outputs[name])["Items"]
            tables[name] = sorted(items, key=str)
        for workflow in ("payment", "refund"):
            tables[workflow] = sorted(one["name"] for one in self.world.admin.executions(workflow))
        return tables

    def money(self) -> Json:
        """What an event that Stripe has signed cannot change by being spoilt: its declines and doubts are believed."""
        kept = ("status", "captures", "refunds", "disputes", "amount", "refund_amount", "refund_pending_amount")
        state = self.state()
        payments = [{name: item[name] for name in kept if name in item} for item in state["paymentsTable"]]
        return {**state, "paymentsTable": payments}

    def unhandled(self) -> list[str]:
        """What the log says since the last time of exceptions that nobody had thought of."""
        text = self.world.stack.log.read_text(encoding="utf-8")
        new, self._log_read = text[self._log_read :], len(text)
        return [line for line in new.splitlines() if '"unhandled"' in line or "Traceback" in line]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    # Longer than any run: the booking that waits has to go on waiting.
    with world(20_000) as made:
        yield Target(made)
    by_status = ", ".join(f"{times} answered {status}" for status, times in sorted(answered.items()))
    sys.stdout.write(f"\n{answered.total()} requests: {by_status}\n")
