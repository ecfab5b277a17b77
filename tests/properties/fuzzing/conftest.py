import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.harness.booking_reader import Json
from tests.harness.running_stack import WORKFLOWS, start_stack
from tests.properties.crash_points.crash_driver import CrashDriver
from tests.properties.crash_points.crash_scenarios import (
    Scenario,
    cancelled_unpaid,
    dashboard_refund_that_fails,
    declined_then_paid,
    disputed,
    paid,
    stay_cancelled,
)
from tests.properties.fuzzing.malformed_requests import statuses
from tests.properties.simulation.simulated_stack import CONFIGURATION, SimulatedStack


class Target:
    """A stack with a booking in each condition, and what requests must not change about them."""

    def __init__(self, stack: SimulatedStack) -> None:
        self.stack = stack
        self.paid, self.released, self.refunded, self.waiting = (CrashDriver(stack) for _ in range(4))
        scenarios: list[tuple[Scenario, CrashDriver]] = [
            (paid, self.paid),
            (cancelled_unpaid, self.released),
            (stay_cancelled, self.refunded),
        ]
        # These are played only for the events that Stripe sends.
        scenarios += [(one, CrashDriver(stack)) for one in (declined_then_paid, dashboard_refund_that_fails, disputed)]
        for scenario, driver in scenarios:
            scenario(driver)
        self.waiting.wait_for_session()
        for _, driver in scenarios:
            driver.wait_until_at_rest()
        self.access_token = str(stack.admin.token(self.paid.id, groups=["operators"])["access_token"])
        self._log_read = 0
        self.document: Json = stack.local.deployment.openapi
        self.base_path = f"/{stack.local.deployment.stage['name']}"

    @property
    def live(self) -> list[str]:
        return [self.paid.id, self.waiting.id]

    @property
    def over(self) -> list[str]:
        return [self.released.id, self.refunded.id]

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of each operation in the OpenAPI document, but for the webhook's."""
        return [
            (method.upper(), f"{self.base_path}{path}")
            for path, item in sorted(self.document["paths"].items())
            for method in sorted(item)
            if path != "/webhooks/stripe" and method in {"get", "post", "put", "delete", "patch"}
        ]

    def state(self) -> Json:
        """Every booking and the name of every execution."""
        tables: dict[str, Any] = {}
        for name in ("paymentsTable", "reservationsTable", "availabilityTable"):
            items: Any = self.stack.dynamodb.scan(TableName=self.stack.outputs[name])["Items"]
            tables[name] = sorted(items, key=str)
        for workflow in WORKFLOWS:
            tables[workflow] = sorted(one["name"] for one in self.stack.admin.executions(workflow))
        return tables

    def money(self) -> Json:
        """The part of the state that no altered event can change, even when it is signed."""
        names = ("status", "captures", "refunds", "disputes", "amount", "refund_amount", "refund_pending_amount")
        state = self.state()
        payments = [{name: item[name] for name in names if name in item} for item in state["paymentsTable"]]
        return {**state, "paymentsTable": payments}

    def new_unhandled_errors(self) -> list[str]:
        """The log lines about unhandled exceptions since the last call."""
        text = self.stack.local.log.read_text(encoding="utf-8")
        new, self._log_read = text[self._log_read :], len(text)
        return [line for line in new.splitlines() if '"unhandled"' in line or "Traceback" in line]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    # In real time: what is malformed has to come through a socket. The window is longer than any test run.
    with (
        start_stack(CONFIGURATION) as local,
        pytest.MonkeyPatch.context() as patch,
        closing(SimulatedStack(local, patch)) as stack,
    ):
        yield Target(stack)
    by_status = ", ".join(f"{times} answered {status}" for status, times in sorted(statuses.items()))
    sys.stdout.write(f"\n{statuses.total()} requests: {by_status}\n")
