"""Play random histories in batches, each batch on a stack of its own, and check the invariants afterwards."""

import argparse
import contextlib
import json
import multiprocessing
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.harness.waiting import WaitTimeoutError, wait_until
from tests.properties.simulation.fast_timers import WINDOW
from tests.properties.simulation.histories import COVERAGE, History, draw
from tests.properties.simulation.history_driver import HistoryDriver
from tests.properties.simulation.invariants import coverage, violations
from tests.properties.simulation.simulated_stack import SimulatedStack, every, simulated_stack
from tests.properties.simulation.snapshots import StackSnapshot

BATCH = 50  # histories on one stack
IN_PARALLEL = 12  # of them
PATIENCE = 240.0  # seconds until a batch has to come to rest
QUIET = 4.5  # seconds; longer than the reconciler takes to check released bookings again
SHRINKING_ROUNDS = 4

type Mutate = Callable[[SimulatedStack], None]


@dataclass(frozen=True)
class Failure:
    """`log`: the requests and payments of the history, with their outcomes. `visited`: the states of each execution."""

    history: History
    violations: list[str]
    log: list[str]
    visited: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        executions = [f"{name}: {' '.join(states)}" for name, states in self.visited.items()]
        violations = [f"\n    {violation}" for violation in self.violations]
        return "".join([str(self.history), *violations, *(f"\n      {line}" for line in self.log + executions)])


@dataclass(frozen=True)
class Batch:
    """`reservations`: how each seed's ended; `paid`: whether the guest's card was charged on an open session."""

    failures: list[Failure]
    coverage: Counter[str]
    reservations: dict[int, str]
    paid: dict[int, bool]


def play_batch(histories: Sequence[History], mutate: Mutate | None = None, *, window: int = WINDOW) -> Batch:
    """Play the histories on a new stack, wait until it has come to rest, and check every booking.

    `window`: seconds that a session is open; holds last as many windows as each history says.
    """
    with simulated_stack(window) as stack:
        if mutate is not None:
            mutate(stack)
        # The deployed schedule is every 15 minutes; two runs overlap now and then.
        with every(1.5, stack.reconcile), every(2.3, stack.reconcile):
            drivers = _play(stack, histories)
            for driver in drivers:
                driver.end_faults()
            at_rest = _wait_until_at_rest(stack, drivers)
        problems = [] if at_rest else ["9: the stack does not come to rest"]
        if error := stack.reconcile():
            problems.append(error)
        with contextlib.suppress(WaitTimeoutError):
            wait_until(lambda: _is_at_rest(stack, []), "the stack to come to rest", seconds=PATIENCE / 8)
        problems = [*(f"11: {leak}" for leak in stack.local.find_leaks()), *_unhandled(stack), *problems]
        batch = _check(stack, drivers)
        if problems and not batch.failures:
            batch.failures.append(Failure(histories[0], problems, [f"{len(histories)} histories in the batch"]))
        return batch


def _play(stack: SimulatedStack, histories: Sequence[History]) -> list[HistoryDriver]:
    def play(history: History) -> HistoryDriver:
        driver = HistoryDriver(stack, history)
        driver.play(background)
        return driver

    with ThreadPoolExecutor(64) as background, ThreadPoolExecutor(IN_PARALLEL) as pool:
        return list(pool.map(play, histories))


def _check(stack: SimulatedStack, drivers: Sequence[HistoryDriver]) -> Batch:
    batch = Batch([], Counter(), {}, {})
    snapshot = StackSnapshot(stack)
    for driver in drivers:
        booking = snapshot.of(driver)
        batch.reservations[driver.history.seed] = booking.reservation["status"]
        batch.paid[driver.history.seed] = bool(driver.steps_done["card paid"])
        batch.coverage.update(coverage(booking))
        batch.coverage.update(set(+driver.steps_done) | set(driver.faults.occurred))
        found = stack.monitor.violations[driver.id] + violations(booking)
        if found:
            batch.failures.append(Failure(driver.history, found, driver.log, _visited(driver)))
    return batch


def _wait_until_at_rest(stack: SimulatedStack, drivers: Sequence[HistoryDriver]) -> bool:
    """Wait until nothing moves, operators have answered, and released bookings were checked again."""
    answers = {driver.id: list(driver.history.answers) for driver in drivers}
    quiet_since = time.monotonic()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.5)
        if _answer_operators(drivers, answers) or not _is_at_rest(stack, drivers):
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > QUIET:
            return True
    return False


def _answer_operators(drivers: Sequence[HistoryDriver], answers: dict[str, list[str]]) -> bool:
    """Answer for the refunds that wait for an operator, as the histories say; whether there was one."""
    answered = False
    for driver in drivers:
        # Money that was refunded in the dashboard is not to be returned in another way as well.
        if not answers[driver.id] or "dashboard" in driver.requested_refunds:
            continue
        refunds = driver.payment_or_empty.get("refunds", {})
        waiting = [refund_id for refund_id, entry in refunds.items() if entry.get("awaiting") == "operator"]
        if waiting:
            driver.resolve(waiting[0], answers[driver.id].pop(0), note="after a call")
            answered = True
    return answered


def _is_at_rest(stack: SimulatedStack, drivers: Sequence[HistoryDriver]) -> bool:
    """Nothing is pending or being delivered, and no execution runs but those that wait for an operator."""
    for name, workflow in stack.running().items():
        if workflow == "payment" or stack.admin.execution(name, "refund").waiting_in != "AwaitOperator":
            return False
    if any(driver.reservation_status == "pending" for driver in drivers):
        return False
    with stack.stripe.lock:
        return not stack.stripe.webhooks._in_progress


def _visited(driver: HistoryDriver) -> dict[str, list[str]]:
    found = {}
    for name, workflow in driver.execution_names().items():
        execution = driver.stack.admin.execution(name, workflow)
        found[f"{name} {execution.status} {execution.error or ''}"] = execution.visited
    return found


def _unhandled(stack: SimulatedStack) -> list[str]:
    log = stack.local.log.read_text(encoding="utf-8")
    return [f"unhandled: {line[:600]}" for line in re.findall(r'.*"message": ?"unhandled".*', log)[:3]]


def shrink(failure: Failure, mutate: Mutate | None = None) -> Failure:
    """The shortest failing history that is found: each round leaves out every step once, all in one batch."""
    for _ in range(SHRINKING_ROUNDS):
        candidates = failure.history.shorter()
        failures = play_batch(candidates, mutate).failures if candidates else []
        if not failures:
            break
        failure = min(failures, key=lambda one: len(one.history.steps))
    return failure


def batches_of_seeds(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


def _play_seeds(seeds: range) -> tuple[range, Batch, float]:
    began = time.monotonic()
    return seeds, play_batch([draw(seed) for seed in seeds]), time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.simulation.run", description=__doc__)
    parser.add_argument("--histories", type=int, default=2000, help="how many to play (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first history (default: 1)")
    parser.add_argument("--processes", type=int, default=2, help="batches to play in parallel (default: 2)")
    parser.add_argument("--no-shrink", action="store_true", help="do not search for shorter histories that fail")
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    failures: list[Failure] = []
    covered: Counter[str] = Counter()
    played = 0
    with spawn.Pool(given.processes, maxtasksperchild=8) as processes:
        seeds_of_batches = batches_of_seeds(given.seed, given.histories)
        for seeds, batch, took in processes.imap_unordered(_play_seeds, seeds_of_batches):
            played += len(seeds)
            covered += batch.coverage
            _print(f"seeds {seeds.start}-{seeds.stop - 1}: {len(batch.failures)} failed, {took:.0f} s; {played} played")
            for failure in batch.failures:
                _print(f"  {failure}")
            failures += batch.failures
    for failure in failures[: 0 if given.no_shrink else 3]:
        _print(f"shortest: {shrink(failure)}")
    for kind, times in sorted(covered.items()):
        _print(f"{times:6} {kind}")
    _print(f"not covered: {', '.join(sorted(COVERAGE - covered.keys())) or 'nothing'}")
    _print(json.dumps({"histories": played, "failed": sorted({failure.history.seed for failure in failures})}))
    return 1 if failures else 0


def _print(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
