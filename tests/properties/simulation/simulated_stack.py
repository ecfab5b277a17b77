"""A local stack on virtual time, on which one booking meets its faults.

The state machines, the handlers, the fake Stripe's rules and all timers are as deployed.
"""

import gc
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Any, Self

import pytest

from lambdas import reconcile_payments
from local import credentials
from local.admin_api.local_admin import LocalAdmin
from local.aws import eventbridge
from local.aws.patches.short_cut import short_cut
from shared.domain.due import due_shard
from tests.harness.leaks import WatchedStack
from tests.harness.running_stack import RunningStack, start_stack
from tests.properties.simulation.recorder import Recorder
from tests.properties.simulation.simulation_injector import SimulationInjector
from tests.properties.simulation.write_monitor import WriteMonitor

CONFIGURATION = MappingProxyType({"throttleRate": 5000, "throttleBurst": 5000})
WINDOW, HOLD = 1800, 86_400  # seconds, as deployed
YEAR = 365 * 86_400
MOST_DEATHS = 60  # of executions that are replaced at once: more break invariant 16, and the history would never end
REFUND_SECONDS = 3 * 3600  # until Stripe has settled a refund that is pending, or fails one that had succeeded


class SimulatedStack(RunningStack):
    """`patch`: undone when the stack ends. `reconcile_minutes`: how often the reconciler runs on its schedule.

    `recorder` records what happens in virtual time.
    """

    admin: LocalAdmin
    faults: SimulationInjector  # type: ignore[assignment]  # it has further kinds of faults

    def __init__(self, local: WatchedStack, patch: pytest.MonkeyPatch, reconcile_minutes: int = 15) -> None:
        super().__init__(local, nights=1)
        self.patch, self.reconcile_minutes = patch, reconcile_minutes
        patch.setattr(eventbridge, "_interval_seconds", self._interval_seconds)
        deaths, replace = itertools.count(1), eventbridge.EventBridge._invoke_until_it_works

        def replace_dead_execution(bridge: Any, function_arn: str, event: Any) -> None:
            if next(deaths) <= MOST_DEATHS:
                replace(bridge, function_arn, event)

        patch.setattr(eventbridge.EventBridge, "_invoke_until_it_works", replace_dead_execution)
        patch.setattr(reconcile_payments, "ThreadPoolExecutor", OneAfterTheOther)
        keys = (credentials.STRIPE_API_KEY, credentials.WEBHOOK_SECRET, credentials.PUBLISHABLE_KEY)
        self.recorder = Recorder(patch, hidden=[*keys, self.outputs["userPoolId"]])
        self.monitor = WriteMonitor(self.stripe, self.outputs["paymentsTable"])
        self.stripe.refund_delay_seconds = REFUND_SECONDS
        self.faults = SimulationInjector(self.stripe, self.monitor)
        self.faults.install(patch)

    def _interval_seconds(self, expression: str) -> float:
        """Of the reconciler; the ledger is reconciled when a history is over."""
        return 60 * self.reconcile_minutes if expression.startswith("rate") else YEAR

    def leave_out_empty_shards(self, payment_id: str) -> None:
        """Let the reconciler read the one shard that the only payment is in."""
        lists = [one for one in reconcile_payments.LISTS if getattr(one, "args", ()) in ((), (due_shard(payment_id),))]
        self.patch.setattr(reconcile_payments, "LISTS", lists)

    def reconcile(self) -> str | None:
        """Run the reconciler; its error, if it fails."""
        try:
            self.admin.reconcile()
        except ValueError as error:
            return str(error)
        return None


class OneAfterTheOther:
    """Takes the place of the reconciler's threads, so that each of its calls is known to be about one booking."""

    def __init__(self, _workers: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., object], *arguments: object) -> Future[object]:
        done: Future[object] = Future()
        done.set_result(call(*arguments))
        return done


@contextmanager
def deployed() -> Iterator[WatchedStack]:
    """What is deployed once for many histories."""
    with start_stack(CONFIGURATION, seed=0) as local:
        gc.collect()
        gc.freeze()  # what is imported and deployed stays, and need not be searched for garbage again and again
        yield local


@contextmanager
def simulated_stack(
    local: WatchedStack, seed: int, reconcile_minutes: int = 15, *, take_short_cut: bool = True
) -> Iterator[SimulatedStack]:
    """A new beginning on what is deployed, until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        local.renew(seed)
        stack = SimulatedStack(local, patch, reconcile_minutes)
        with short_cut(stack.faults.may_meet_fault) if take_short_cut else nullcontext():
            try:
                yield stack
            finally:
                stack.close()
