"""Play random histories, each on a stack of its own, and check the invariants afterwards."""

import argparse
import contextlib
import functools
import hashlib
import json
import multiprocessing
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.leaks import WatchedStack
from tests.harness.waiting import WaitTimeoutError, wait_until
from tests.properties.simulation.histories import COVERAGE, History, draw
from tests.properties.simulation.history_driver import HistoryDriver
from tests.properties.simulation.invariants import coverage, violations
from tests.properties.simulation.pairs import Pairs
from tests.properties.simulation.restores import draw_with_restore
from tests.properties.simulation.simulated_stack import WINDOW, SimulatedStack, deployed, simulated_stack
from tests.properties.simulation.snapshots import StackSnapshot

REGRESSIONS = Path(__file__).parents[1] / "regressions"
BATCH = 25  # histories that a process plays before it reports
PATIENCE = 4 * 86_400.0  # seconds until a history has to come to rest
FAULTS_LAST_SECONDS = 600.0  # after the last step, so that its faults are met too
CHECK_AGAIN_SECONDS = 25 * 3600.0  # after that, the reconciler checks a released booking for the second time
# At rest the reconciler finds little: the days until then would be most of a simulation's work.
RECONCILE_MINUTES_AT_REST = 720

type Mutate = Callable[[SimulatedStack], None]


@dataclass(frozen=True)
class Failure:
    """`log`: the requests and payments of the history, with their outcomes. `visited`: the states of each execution."""

    history: History
    violations: list[str]
    log: list[str]
    visited: dict[str, list[str]] = field(default_factory=dict)

    @property
    def invariants(self) -> set[str]:
        """The numbers of those that are broken, and other problems as they are."""
        return {violation.partition(":")[0] for violation in self.violations}

    def __str__(self) -> str:
        executions = [f"{name}: {' '.join(states)}" for name, states in self.visited.items()]
        violations = [f"\n    {violation}" for violation in self.violations]
        return "".join([str(self.history), *violations, *(f"\n      {line}" for line in self.log + executions)])


@dataclass
class Batch:
    """`reservations`: how each seed's ended; `paid`: whether the guest's card was charged on an open session.

    `digests`: the hash of what each seed has done. `pairs`: what has met which state.
    """

    failures: list[Failure] = field(default_factory=list)
    coverage: Counter[str] = field(default_factory=Counter)
    reservations: dict[int, str] = field(default_factory=dict)
    paid: dict[int, bool] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=Pairs)


def play_batch(local: WatchedStack, histories: Iterable[History], mutate: Mutate | None = None) -> Batch:
    """Play one history after the other, each from the beginning of time, and check what it has led to."""
    batch = Batch()
    for history in histories:
        with simulated_stack(local, history.seed, history.reconcile_minutes) as stack:
            if mutate is not None:
                mutate(stack)
            try:
                driver, problems = _play(stack, history)
            except Exception as error:  # noqa: BLE001 - it is what the history found, and the others are played too
                batch.failures.append(Failure(history, [repr(error)], traceback.format_exception(error)))
            else:
                _check(stack, driver, problems, batch)
    return batch


def _play(stack: SimulatedStack, history: History) -> tuple[HistoryDriver, list[str]]:
    """Play it until everything is at rest: the booking, and what was wrong with the whole stack."""
    driver = HistoryDriver(stack, history)
    with ThreadPoolExecutor(64) as background:
        driver.play(background)
    time.sleep(FAULTS_LAST_SECONDS)
    driver.end_faults()
    problems = []
    answers = list(history.answers)
    pauses = [WINDOW, CHECK_AGAIN_SECONDS]
    while pauses:
        time.sleep(pauses.pop(0))
        unused = len(answers)
        if error := stack.reconcile():
            problems.append(error)
        if not _come_to_rest(stack, driver, answers):
            problems.append("9: the stack does not come to rest")
        stack.reconcile_minutes = RECONCILE_MINUTES_AT_REST
        if len(answers) < unused and not pauses:
            # A refund that an operator has tried again may fail again, hours later.
            pauses.append(CHECK_AGAIN_SECONDS)
    leaks = [f"11: {leak}" for leak in stack.local.find_leaks()]
    return driver, [*problems, *leaks, *_unhandled(stack)]


def _check(stack: SimulatedStack, driver: HistoryDriver, problems: list[str], batch: Batch) -> None:
    booking, seed = StackSnapshot(stack).of(driver), driver.history.seed
    batch.digests[seed] = stack.recorder.digest
    batch.pairs.add(stack.faults.pairs)
    batch.reservations[seed] = driver.reservation_status
    batch.paid[seed] = bool(driver.steps_done["card paid"])
    batch.coverage.update(coverage(booking))
    batch.coverage.update(set(+driver.steps_done) | set(driver.faults.occurred))
    found = stack.monitor.violations[driver.id] + violations(booking) + driver.inspect() + problems
    if found:
        batch.failures.append(Failure(driver.history, found, driver.log, _visited(driver)))


def _come_to_rest(stack: SimulatedStack, driver: HistoryDriver, answers: list[str]) -> bool:
    """Wait until nothing moves and operators have answered; whether that came true."""

    def at_rest() -> bool:
        return not _answer_operators(driver, answers) and _is_at_rest(stack, driver)

    try:
        wait_until(at_rest, "the stack to come to rest", seconds=PATIENCE)
    except WaitTimeoutError:
        return False
    return True


def _answer_operators(driver: HistoryDriver, answers: list[str]) -> bool:
    """Answer for a refund that waits for an operator, as the history says; whether there was one."""
    # Money that was refunded in the dashboard is not to be returned in another way as well.
    if not answers or "dashboard" in driver.requested_refunds:
        return False
    refunds = driver.payment_or_empty.get("refunds", {})
    waiting = [refund_id for refund_id, entry in refunds.items() if entry.get("awaiting") == "operator"]
    if waiting:
        driver.resolve(waiting[0], answers.pop(0), note="after a call")
    return bool(waiting)


def _is_at_rest(stack: SimulatedStack, driver: HistoryDriver) -> bool:
    """Nothing is pending or being delivered, and no execution runs but those that wait for an operator.

    One that was stopped may record an answer while its replacement waits for one, which goes on after three days.
    """
    running = stack.running()
    for name, workflow in running.items():
        if workflow == "payment" or stack.admin.execution(name, "refund").waiting_in != "AwaitOperator":
            return False
    refunds = driver.payment_or_empty.get("refunds", {}).values()
    if len(running) > sum(entry["status"] == "failed" and entry["kind"] != "dashboard" for entry in refunds):
        return False
    with stack.stripe.lock:
        return driver.reservation_status != "pending" and not stack.stripe.webhooks._in_progress


def _visited(driver: HistoryDriver) -> dict[str, list[str]]:
    found = {}
    for name, workflow in driver.execution_names().items():
        execution = driver.stack.admin.execution(name, workflow)
        found[f"{name} {execution.status} {execution.error or ''}"] = execution.visited
    return found


def _unhandled(stack: SimulatedStack) -> list[str]:
    log = stack.local.log.read_text(encoding="utf-8")
    unhandled = [line for line in log.splitlines() if '"unhandled"' in line]
    return [f"unhandled: {line[:600]}" for line in unhandled if re.search(r'"message": ?"unhandled"', line)][:3]


def shrink(local: WatchedStack, failure: Failure, mutate: Mutate | None = None) -> Failure:
    """The shortest history that is found to break the same invariants."""
    for history in failure.history.shorter():
        shorter = play_batch(local, [history], mutate).failures
        if shorter and shorter[0].invariants == failure.invariants:
            return shrink(local, shorter[0], mutate)
    return failure


def batches_of_seeds(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


_process = contextlib.ExitStack()  # ends with the process that plays batches
_local: list[WatchedStack] = []


def _play_seeds(seeds: range, draw_history: Callable[[int], History] = draw) -> tuple[range, Batch]:
    if not _local:
        _local.append(_process.enter_context(deployed()))
    return seeds, play_batch(_local[0], [draw_history(seed) for seed in seeds])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.simulation.run", description=__doc__)
    parser.add_argument("--histories", type=int, default=2000, help="how many to play (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first history (default: 1)")
    parser.add_argument("--processes", type=int, default=2, help="batches to play in parallel (default: 2)")
    parser.add_argument("--no-shrink", action="store_true", help="do not search for shorter histories that fail")
    parser.add_argument("--restore", action="store_true", help="restore the tables once in each history, and recover")
    given = parser.parse_args()
    play = functools.partial(_play_seeds, draw_history=draw_with_restore if given.restore else draw)
    spawn = multiprocessing.get_context("spawn")
    failures: list[Failure] = []
    covered: Counter[str] = Counter()
    digests: dict[int, str] = {}
    pairs = Pairs()
    began = time.monotonic()
    with spawn.Pool(given.processes) as processes:
        seeds_of_batches = batches_of_seeds(given.seed, given.histories)
        for seeds, batch in processes.imap_unordered(play, seeds_of_batches):
            digests |= batch.digests
            covered += batch.coverage
            pairs.add(batch.pairs)
            print_line(f"seeds {seeds.start}-{seeds.stop - 1}: {len(batch.failures)} failed; {len(digests)} played")
            for failure in batch.failures:
                print_line(f"  {failure}")
            failures += batch.failures
    speed = len(digests) / (time.monotonic() - began)
    if failures and not given.no_shrink:
        with deployed() as local:
            for failure in failures[:3]:
                shortest = shrink(local, failure)
                print_line(f"shortest: {shortest}")
                path = REGRESSIONS / f"seed_{failure.history.seed}.json"
                path.write_text(shortest.history.to_json())
                print_line(f"written to {path}, which is a test from now on")
    for kind, times in sorted(covered.items()):
        print_line(f"{times:6} {kind}")
    print_line(f"not covered: {', '.join(sorted(COVERAGE - covered.keys())) or 'nothing'}")
    for line in pairs.report():
        print_line(line)
    print_line(
        json.dumps({"histories": len(digests), "failed": sorted({failure.history.seed for failure in failures})})
    )
    print_line(f"{speed:.1f} histories per second")
    together = "".join(digests[seed] for seed in sorted(digests))
    print_line(f"history hash: {hashlib.sha256(together.encode()).hexdigest()}")
    return 1 if failures else 0


def print_line(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
