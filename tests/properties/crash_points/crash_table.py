"""Crash every function right before and right after each of its outside calls, and compare how the bookings end.

Plays all crash points and prints a line for each; --write also writes the summary to docs/crashes.md.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from local.admin_api.executions import Workflow
from tests.harness.fault_injection import Moment
from tests.harness.leaks import WatchedStack
from tests.harness.waiting import WaitTimeoutError, wait_until
from tests.properties.crash_points.crash_driver import CrashDriver
from tests.properties.crash_points.crash_scenarios import (
    RECONCILED,
    SCENARIOS,
    Scenario,
    events_not_delivered,
    hold_without_payment,
)
from tests.properties.crash_points.end_state import EndState, end_state
from tests.properties.simulation.simulated_stack import SimulatedStack, deployed, simulated_stack
from tests.properties.simulation.simulation_faults import Crash, Invocation, without_repeats

PAGE = Path(__file__).parents[3] / "docs" / "crashes.md"
# Where calls depend on a race or on polling, a crash point may not be reached: then it is tried again.
TRIES = 4
PATIENCE = 3 * 3600.0  # seconds until a different end counts: longer than from the reminder to the end of the hold
BY_SCENARIO = {"stripe_webhook", "record_refund"}
MOMENTS: tuple[Moment, ...] = ("before", "after")
# The calls that are about no booking, each with a scenario in which the run has come to no booking before.
OF_NO_BOOKING = {
    "dynamodb.Query": hold_without_payment,
    "sns.GetTopicAttributes": hold_without_payment,
    "stripe.events.list": events_not_delivered,
}


@dataclass(frozen=True)
class CrashPoint:
    """One crash in one scenario. `of_no_booking`: at a call that is about no booking."""

    scenario: Scenario
    crash: Crash
    of_no_booking: bool = False

    def __str__(self) -> str:
        crash = self.crash
        run = "" if crash.run is None else f" in run {crash.run + 1}"
        call = f"{crash.operation} ({crash.call + 1})"
        return f"{self.scenario.__name__}: {crash.function} crashes {crash.moment} {call}{run}"


@dataclass(frozen=True)
class Result:
    point: CrashPoint
    reached: bool
    difference: str

    def __str__(self) -> str:
        return f"{self.point}: {self.difference or ('same end' if self.reached else 'not reached')}"


@dataclass(frozen=True)
class CleanRun:
    """A scenario without faults: its end, the outside calls of all functions, and the states that were entered."""

    end: EndState
    invocations: list[Invocation]
    visited: set[tuple[Workflow, str]]


type CleanRuns = dict[Scenario, CleanRun]


@contextmanager
def crash_stack(local: WatchedStack, seed: int = 1) -> Iterator[SimulatedStack]:
    """A new beginning without cached secrets, and with a reconciler that runs every five minutes."""
    with simulated_stack(local, seed, reconcile_minutes=5) as stack:
        stack.patch.setattr("shared.adapters.secrets.MAX_AGE", 0)
        yield stack


def run_without_faults(local: WatchedStack, scenarios: Sequence[Scenario]) -> CleanRuns:
    found = {}
    for scenario in scenarios:
        with crash_stack(local) as stack:
            invocations = stack.faults.invocations = []
            driver = CrashDriver(stack)
            scenario(driver)
            driver.wait_until_at_rest()
            end, visited = end_state(driver), driver.visited()
            found[scenario] = CleanRun(end, [one for one in invocations if one.booking == driver.id], visited)
    return found


def crash_points(runs: CleanRuns) -> Iterator[CrashPoint]:
    """Every call once for each sequence of calls that led to it."""
    known: set[tuple[str, ...]] = set()
    for scenario, run in runs.items():
        for invocation in run.invocations:
            if scenario in RECONCILED or invocation.function != "reconcile_payments":
                yield from _points_of(scenario, invocation, known)
    for operation, scenario in OF_NO_BOOKING.items():
        for moment in MOMENTS if scenario in runs else ():
            crash = Crash("reconcile_payments", 0, moment, operation)
            yield CrashPoint(scenario, crash, of_no_booking=True)


def first_of_each_call(points: Iterable[CrashPoint]) -> Iterator[CrashPoint]:
    known = set()
    for point in points:
        call = (point.crash.function, point.crash.operation, point.crash.moment)
        if call not in known:
            known.add(call)
            yield point


def _points_of(scenario: Scenario, invocation: Invocation, known: set[tuple[str, ...]]) -> Iterator[CrashPoint]:
    for number, operation in enumerate(invocation.calls):
        # The calls do not show which event is handled or how a refund ends: that differs from scenario to scenario.
        kind = scenario.__name__ if invocation.function in BY_SCENARIO else ""
        path = without_repeats(invocation.calls[: number + 1])
        key = (kind, invocation.function, *path)
        if key in known:
            continue
        known.add(key)
        occurrence = invocation.calls[: number + 1].count(operation) - 1
        for moment in MOMENTS:
            crash = Crash(invocation.function, occurrence, moment, operation, invocation.run)
            if invocation.function == "reconcile_payments":
                # Which of its runs comes to the booking, and when, is up to chance.
                crash = replace(crash, run=None, path=path)
            yield CrashPoint(scenario, crash)


def play_point(local: WatchedStack, point: CrashPoint, expected: EndState) -> Result:
    for seed in range(1, 1 + TRIES):
        with crash_stack(local, seed) as stack:
            driver = CrashDriver(stack)
            crashes = stack.faults.of["" if point.of_no_booking else driver.id].crashes
            crashes.append(point.crash)
            difference = play_and_compare(driver, point.scenario, expected)
            result = Result(point, point.crash not in crashes, difference)
        if result.reached or result.difference:
            break
    return result


def play_and_compare(
    driver: CrashDriver, scenario: Scenario, expected: EndState, ignored: frozenset[str] = frozenset()
) -> str:
    """Play the scenario; how its end differs from the expected one, if it still does after some time."""
    timeout = ""
    try:
        scenario(driver)
        driver.wait_until_at_rest()
    except WaitTimeoutError as error:
        timeout = f"{error}; "
    difference = ""

    def is_as_expected() -> bool:
        nonlocal difference
        difference = end_state(driver).difference(expected, ignored)
        return not difference

    try:
        wait_until(is_as_expected, "the expected end", seconds=PATIENCE)
    except WaitTimeoutError:
        return timeout + difference
    return timeout


def play_points(local: WatchedStack, runs: CleanRuns, points: Iterable[CrashPoint]) -> Iterator[Result]:
    """The results as they come."""
    for point in points:
        yield play_point(local, point, runs[point.scenario].end)


def page(results: Iterable[Result], selection: str) -> str:
    """One row for each operation that a function calls."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for result in results:
        crash = result.point.crash
        row = counts.setdefault((crash.function, crash.operation or ""), Counter())
        row[crash.moment] += 1
        row["same"] += result.reached and not result.difference
        row["not reached"] += not result.reached
        row["different"] += bool(result.difference)
    total = sum(counts.values(), Counter())
    columns = ("before", "after", "same", "not reached", "different")
    rows = [
        f"| {function} | {operation} | {' | '.join(str(row[column]) for column in columns)} |"
        for (function, operation), row in sorted(counts.items())
    ]
    return "\n".join(
        [
            "# Crash points",
            "",
            "Every function crashes right before and right after each of its outside calls,",
            f"{selection} ({len(SCENARIOS)} scenarios in",
            "`tests/properties/crash_points/crash_scenarios.py`). After the retries everything must end as it does",
            "without a crash: reservation, dates, sessions, attempts, captures, refunds in the ledger and at Stripe,",
            "published events, and notifications to operators. This page is written by",
            "`python -m tests.properties.crash_points.crash_table --write`, which also prints every crash point. The",
            "tests check that no call is missing here, and play a sample.",
            "",
            (
                f"{total['before'] + total['after']} crash points: {total['same']} with the same end, "
                f"{total['not reached']} not reached in {TRIES} tries"
            ),
            f"(where a race or polling decides), {total['different']} with a different end.",
            "",
            "| function | call | crashes before | crashes after | same end | not reached | different end |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.crash_points.crash_table", description=__doc__)
    parser.add_argument("--once", action="store_true", help="play only the first crash point of each call")
    parser.add_argument("--write", action="store_true", help="write docs/crashes.md")
    parser.add_argument("scenarios", nargs="*", help="play these scenarios (default: all)")
    given = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if not given.scenarios or scenario.__name__ in given.scenarios]
    results = []
    with deployed() as local:
        runs = run_without_faults(local, chosen)
        points = crash_points(runs)
        for result in play_points(local, runs, first_of_each_call(points) if given.once else points):
            results.append(result)
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    different = [result for result in results if result.difference]
    not_reached = [result for result in results if not result.reached]
    sys.stdout.write(
        f"{len(results)} crash points: {len(not_reached)} not reached, {len(different)} with a different end\n"
    )
    if given.write:
        sequences = "the first sequence" if given.once else "every sequence"
        PAGE.write_text(page(results, f"once for {sequences} of calls that leads there"))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
