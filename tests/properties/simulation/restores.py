"""The tables go back to an earlier moment of a history, and an operator recovers the stack by the runbook."""

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import boto3
import stripe
from botocore.exceptions import ClientError

from local.aws import emulator
from scripts.recover import recovery
from tests.harness.table_restore import OURS, TABLES, Items, backup, restore
from tests.properties.simulation.histories import History, draw
from tests.properties.simulation.other_parties import OtherParties
from tests.properties.simulation.places import MET
from tests.properties.simulation.simulated_stack import SimulatedStack
from tests.properties.simulation.steps import PAUSES, Step

STOPPED = ("payments-api", "stripe-webhook", "reconcile-payments", "create-checkout-session", "release-hold")
LONGEST_RUN = 130.0  # seconds, of a function that ran when it was stopped
HOUR = 3600.0
# Seconds until an operator runs recover again: at once, and after the reconciler's next run.
AGAIN_AFTER = (*[30.0] * 8, *[HOUR] * 6)


class Restores(OtherParties):
    """Each kind of step is a method. `backups`: each moment that was kept, its items, what was unreadable."""

    stack: SimulatedStack
    log: list[str]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.reserved: dict[str, Any] = {}
        self._left_since: datetime | None = None
        self._stopped = False
        self.backups: list[tuple[datetime, Items, dict[str, Any]]] = []

    def back_up(self, whole: int) -> None:
        """Keep what the tables hold now: all, or those of this system alone."""
        if not self.deleted and not self.unreadable:
            self.reserved = self._stored_reservation
        items = backup(self.stack.outputs, TABLES if whole else OURS)
        self.backups.append((datetime.now(UTC), items, dict(self.unreadable)))

    def restore(self) -> None:
        """Take the tables back to the newest moment that was kept, and recover."""
        if not self.backups or self.steps_done["restored"]:
            return
        self.steps_done["restored"] += 1
        since, items, unreadable = self.backups[-1]
        self._stop_functions(0)
        try:
            time.sleep(LONGEST_RUN)
            restore(items)
            if len(items) == len(TABLES):
                self.unreadable = unreadable
                self._follow_tables()
            self._recover(since)
        finally:
            self._stop_functions(None)
        time.sleep(AGAIN_AFTER[0])
        self._recover(since)

    def fix_reservation(self) -> None:
        """Once the platform has fixed what recover could not read, an operator runs it again."""
        broken = bool(self.unreadable)
        super().fix_reservation()
        if broken and self._left_since is not None:
            self._recover(self._left_since)

    def _recover(self, since: datetime) -> None:
        """Run recover until it leaves nothing, but what waits for the platform or for the stopped functions."""
        self._left_since = since
        for pause in AGAIN_AFTER:
            with suppress(stripe.StripeError, ClientError):
                result = recovery(since, workers=1).run()
                self.log.append(f"recovered since {since:%H:%M:%S}: {result.changes} left {result.left}")
                self.steps_done["a booking recovered"] += bool(result.changes)
                if not result.left:
                    self._left_since = None
                    return
                if result.left.get(self.id) == f"no reservation {self.id}":
                    self._enter_reservation()
                elif self.unreadable or (self._stopped and all(name.startswith("evt_") for name in result.left)):
                    return
            time.sleep(pause if pause < HOUR else max(pause, 60.0 * self.stack.reconcile_minutes))
        self.log.append("recover still leaves something")

    def _enter_reservation(self) -> None:
        """What the runbook asks of the platform for a reservation that it had deleted."""
        self.stack.table("reservations").put_item(Item={**self.reserved, "status": "cancelled"})
        self.deleted = False

    def _follow_tables(self) -> None:
        """The platform's own memory goes back with its tables."""
        key = {"reservation_id": self.id}
        item = self.stack.table("reservations").get_item(Key=key, ConsistentRead=True).get("Item")
        self.deleted = item is None
        if item is not None and item["status"] == "pending" and "total_amount" not in self.unreadable:
            self.price = int(item["total_amount"])

    def _stop_functions(self, runs: int | None) -> None:
        self._stopped = runs is not None
        functions = boto3.client("lambda", region_name=emulator.REGION)
        for function in STOPPED:
            name = self.stack.outputs["reconcilerFunction"].removesuffix("reconcile-payments") + function
            if runs is None:
                functions.delete_function_concurrency(FunctionName=name)
            else:
                self.stack.faults.of[self.id].occurred["functions stopped"] += 1
                functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=runs)


def draw_with_restore(seed: int) -> History:
    """The history of a seed, with a moment that is kept and a later one at which the tables go back to it."""
    history, rng = draw(seed), Random(f"{seed} restore")  # noqa: S311 - repeatable, not secret
    kept = rng.randint(0, len(history.steps))
    back = rng.randint(kept, len(history.steps))
    steps = [*history.steps]
    steps.insert(back, _at_any_moment(Step("restore"), rng))
    whole = (int(rng.random() < 0.7),)
    steps.insert(kept, _at_any_moment(Step("back_up", whole), rng))
    return replace(history, steps=(Step("back_up", whole), *steps, Step("restore")))


def _at_any_moment(step: Step, rng: Random) -> Step:
    """After a pause, or when an execution enters a state."""
    if rng.random() < 0.5:
        return step._replace(pause=rng.choice((*PAUSES, 600.0, 1700.0)))
    return step._replace(at=rng.choice(MET[1:]), in_background=True)
