"""A local stack with fast timers, on which many bookings run at once, each with faults of its own.

The state machines, the handlers and the fake Stripe's rules are real; timers are shortened (`fast_timers`).
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Self

import pytest

from local.admin_api.local_admin import LocalAdmin
from tests.harness.leaks import WatchedStack
from tests.harness.running_stack import RunningStack, start_stack
from tests.properties.simulation.fast_timers import (
    WINDOW,
    configuration,
    hold_seconds,
    shorten_deployed_waits,
    shorten_waits,
)
from tests.properties.simulation.simulation_injector import SimulationInjector
from tests.properties.simulation.write_monitor import WriteMonitor


class SimulatedStack(RunningStack):
    """`window`: how many seconds a session is open. `patch`: undone when the stack ends."""

    admin: LocalAdmin
    faults: SimulationInjector  # type: ignore[assignment]  # it has further kinds of faults

    def __init__(self, local: WatchedStack, patch: pytest.MonkeyPatch, window: int) -> None:
        super().__init__(local, nights=1)
        self.window, self.hold = window, hold_seconds(window)
        self.patch = patch
        self.monitor = WriteMonitor(self.stripe)
        self.stripe.refund_delay_seconds = 0.4
        self.faults = SimulationInjector(self.stripe, self.monitor)
        self.faults.install(patch)

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
def simulated_stack(window: int = WINDOW) -> Iterator[SimulatedStack]:
    """A stack that runs until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_deployed_waits(patch)
        with start_stack(configuration(window)) as local:
            shorten_waits(patch)
            patch.setattr("lambdas.reconcile_payments.ThreadPoolExecutor", OneAfterTheOther)
            stack = SimulatedStack(local, patch, window)
            try:
                yield stack
            finally:
                stack.close()


@contextmanager
def every(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Repeat the action in a thread until the end of the block."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(seconds):
            action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
