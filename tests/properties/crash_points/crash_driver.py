"""Drives one booking through a scenario in which any function may crash: failed requests are repeated."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from local.admin_api.executions import Workflow
from shared.adapters.step_functions import execution_name
from shared.domain.models import iso
from tests.harness.booking_driver import VISA
from tests.harness.booking_reader import Json
from tests.harness.running_stack import Answer
from tests.harness.waiting import wait_until
from tests.properties.simulation.histories import History
from tests.properties.simulation.history_driver import HistoryDriver
from tests.properties.simulation.simulated_stack import SimulatedStack

HOLD = 48  # checkout windows; no scenario waits for its end
TRIES = 5


class CrashDriver(HistoryDriver):
    def __init__(self, stack: SimulatedStack) -> None:
        without_steps = History(0, HOLD, 15, "deliver", (), (), processing_succeeds=True, newest_first=False)
        super().__init__(stack, without_steps)

    def call(self, method: str, path: str, body: Json | None = None, **options: Any) -> Answer:
        """Repeat the call after a 5xx, as browsers and people do."""
        for _ in range(TRIES):
            answer = super().call(method, path, body, **options)
            if answer.status < 500 or answer.body.get("error_code") == "STRIPE_UNAVAILABLE":
                break
            time.sleep(0.2)
        return answer

    # Waiting.

    def wait_for_status(self, status: str) -> None:
        wait_until(lambda: self.payment["status"] == status, f"the payment to be {status}")

    def wait_for_session(self, request: Callable[[], object] | None = None, *, number: int = 1) -> None:
        """Repeat the request, by default "Pay now", until this many sessions have been offered."""

        def offered() -> bool:
            (request or self.pay_now)()
            return len(self.offered_sessions) == number

        wait_until(offered, f"session {number}")

    def wait_for_refund(self, status: str) -> None:
        wait_until(lambda: self.first_refund().get("status") == status, f"a refund that is {status}")

    def wait_for_refund_in(self, state: str, refund_id: str) -> None:
        """Wait until the refund's execution or its newest replacement waits in this state."""

        def waits() -> bool:
            replacement = self.stack.admin.replacement(refund_id, "refund")
            found = [self.refund_execution(refund_id), *([replacement[1]] if replacement else [])]
            return any(execution.waiting_in == state for execution in found)

        wait_until(waits, f"{refund_id} to wait in {state}")

    def wait_for_notification(self, text: str) -> None:
        wait_until(lambda: self.stack.notifications(text), f"the notification {text}")

    def wait_until_at_rest(self) -> None:
        """Wait until its events have arrived and no execution runs, except those that wait for an operator."""
        wait_until(self._is_at_rest, "everything to come to rest")

    def _is_at_rest(self) -> bool:
        refunds = self.payment["refunds"]
        waiting = [refund_id for refund_id, entry in refunds.items() if entry.get("awaiting") == "operator"]
        may_run = {execution_name(refund_id, restart) for refund_id in waiting for restart in range(4)}
        ids = (self.id, *(intent["id"] for intent in self.intents()))
        running = [name for name in self.stack.running() if any(one in name for one in ids)]
        if self.faults.webhooks not in {"drop", "hold"} and not self._events_delivered():
            return False
        return all(name in may_run or name.startswith("failed-") for name in running)

    def _events_delivered(self) -> bool:
        stripe, booking_of_object = self.stack.stripe, self.stack.faults.booking_of_object
        with stripe.lock:
            events = stripe.all("event", lambda event: booking_of_object(event["data"]["object"]) == self.id)
        return all(stripe.webhooks.delivered(event["id"]) for event in events)

    # What a scenario does besides.

    def pay_new_session(self, card: str = VISA) -> None:
        self.wait_for_session()
        self.pay(card)

    def set_back(self, table: Literal["payments", "reservations"], name: str, by: timedelta) -> None:
        """Set a stored time to this long ago."""
        self.set_stored(table, name, iso(datetime.now(UTC) - by))

    def close_matter(self, kind: str) -> None:
        """Close it as an operator, once it is open."""
        path = f"payments/{self.id}/attention/{kind}/close"
        self.closed_matters.add(kind)

        def is_open() -> bool:
            return kind in self.payment.get("attention", {})

        def closed() -> bool:
            self.stack.request("POST", path, self.stack.operator, {"note": "seen to"})
            return not is_open()

        wait_until(is_open, f"the matter {kind}")
        wait_until(closed, f"the end of the matter {kind}")

    def settle_refunds(self, status: Any) -> None:
        stripe = self.stack.stripe
        for refund in stripe.all("refund", lambda one: one["metadata"].get("reservation_id") == self.id):
            stripe.settle_refund(refund["id"], status)

    # What it led to.

    def first_refund(self) -> Json:
        found: Json = next(iter(self.payment["refunds"].values()), {})
        return found

    def visited(self) -> set[tuple[Workflow, str]]:
        """Each state that an execution about this booking has entered, with its workflow."""
        return {
            (workflow, state)
            for name, workflow in self.execution_names().items()
            for state in self.stack.admin.execution(name, workflow).visited
        }
