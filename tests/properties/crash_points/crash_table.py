"""The crash table: every function dies right before and right after each of its calls to the outside.

`python -m tests.properties.crash_points.crash_table` plays all of it and prints the result of each point;
`--write` writes the summary to docs/crashes.md.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from local.admin_api.executions import Workflow
from tests.properties.crash_points.crash_scenarios import (
    RECONCILED,
    SCENARIOS,
    Actor,
    End,
    InVainError,
    Scenario,
    end,
    hold_without_payment,
)
from tests.properties.simulation.world import Crash, Invocation, Moment, World, every, shortened, until, world

PAGE = Path(__file__).parents[3] / "docs" / "crashes.md"
AT_ONCE = 12
# A run of the reconciler that dies takes the other bookings' turn with it: with 12 at once some wait in vain.
RECONCILERS_AT_ONCE = 4
# Where calls depend on who was faster (polling, races), a point may not be met: then once more.
TRIES = 4
SETTLES = 20.0  # seconds until an end that differs is believed
BY_KIND = {"stripe_webhook", "record_refund"}
MOMENTS: tuple[Moment, ...] = ("before", "after")


@dataclass(frozen=True)
class Point:
    """One way to die, in one scenario. `of_nobody`: at a call that is about no booking."""

    scenario: Scenario
    crash: Crash
    of_nobody: bool = False

    def __str__(self) -> str:
        crash = self.crash
        where = f"{crash.moment} {crash.operation} ({crash.call + 1})"
        where += "" if crash.run is None else f" in run {crash.run + 1}"
        return f"{self.scenario.__name__}: {crash.function} dies {where}"


@dataclass(frozen=True)
class Result:
    point: Point
    died: bool
    difference: str

    def __str__(self) -> str:
        return f"{self.point}: {self.difference or ('same end' if self.died else 'was not met again')}"


@dataclass(frozen=True)
class Clean:
    """A scenario undisturbed: how it ends, what the functions called, which states were visited in which workflow."""

    end: End
    invocations: list[Invocation]
    visited: set[tuple[Workflow, str]]


@contextmanager
def stage() -> Iterator[World]:
    """Long timers, nothing cached, and a reconciler at work."""
    later = (timedelta(hours=1), timedelta(days=1))
    with world(100) as made, pytest.MonkeyPatch.context() as patch, every(2.0, made.reconcile):
        patch.setattr("shared.adapters.secrets.MAX_AGE", 0)
        patch.setattr("lambdas.reconcile_payments.CHECK_AGAIN_AFTER", later)
        patch.setattr("shared.domain.attempts.OPENING_REPEATABLE", timedelta(minutes=4))
        yield made


def undisturbed(made: World, scenarios: Sequence[Scenario]) -> dict[Scenario, Clean]:
    made.record = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(scenarios, pool.map(lambda scenario: _clean(made, scenario), scenarios), strict=True))
    made.record = None
    return found


def _clean(made: World, scenario: Scenario) -> Clean:
    actor = Actor(made)
    scenario(actor)
    actor.ends()
    visited = {
        (workflow, state)
        for name, workflow in actor.executions().items()
        for state in made.admin.execution(name, workflow).visited
    }
    return Clean(end(actor), [one for one in made.record or [] if one.about == actor.played.id], visited)


def points(ends: dict[Scenario, Clean]) -> Iterator[Point]:
    """Every call once for each way that led to it."""
    known: set[tuple[str, ...]] = set()
    for scenario, clean in ends.items():
        for invocation in clean.invocations:
            if scenario in RECONCILED or invocation.function != "reconcile_payments":
                yield from _points(scenario, invocation, known)
    of_nobody = ("dynamodb.Query", "stripe.events.list") if hold_without_payment in ends else ()
    for operation in of_nobody:
        for moment in MOMENTS:
            yield Point(hold_without_payment, Crash("reconcile_payments", 0, moment, operation), of_nobody=True)


def once(found: Iterable[Point]) -> Iterator[Point]:
    """Of the ways that lead to a call the first only."""
    known = set()
    for point in found:
        call = (point.crash.function, point.crash.operation, point.crash.moment)
        if call not in known:
            known.add(call)
            yield point


def _points(scenario: Scenario, invocation: Invocation, known: set[tuple[str, ...]]) -> Iterator[Point]:
    for number, operation in enumerate(invocation.calls):
        # What an event or a refund's end leads to does not show in the calls before.
        kind = scenario.__name__ if invocation.function in BY_KIND else ""
        led = shortened(invocation.calls[: number + 1])
        way = (kind, invocation.function, *led)
        if way in known:
            continue
        known.add(way)
        occurrence = invocation.calls[: number + 1].count(operation) - 1
        for moment in MOMENTS:
            crash = Crash(invocation.function, occurrence, moment, operation, invocation.run)
            if invocation.function == "reconcile_payments":
                # Which of its runs comes to the booking at what time is chance.
                crash = replace(crash, run=None, way=led)
            yield Point(scenario, crash)


def play(made: World, point: Point, wanted: End) -> Result:
    for _ in range(TRIES):
        result = _play(made, point, wanted)
        if result.died or result.difference:
            break
    return result


def _play(made: World, point: Point, wanted: End) -> Result:
    actor = Actor(made)
    crashes = made.faults_injected["" if point.of_nobody else actor.played.id].crashes
    crashes.append(point.crash)
    difference = differs(actor, point.scenario, wanted)
    return Result(point, point.crash not in crashes, difference)


def differs(actor: Actor, scenario: Scenario, wanted: End, ignoring: frozenset[str] = frozenset()) -> str:
    """Play it; how its end differs from the one that is wanted, if it still does after a while."""
    in_vain = ""
    try:
        scenario(actor)
        actor.ends()
    except InVainError as waited:
        in_vain = f"waited in vain for {waited}; "

    found: list[str] = []

    def same() -> bool:
        now = vars(end(actor))
        found[:] = [
            f"{name}: {now[name]} instead of {value}"
            for name, value in vars(wanted).items()
            if name not in ignoring and now[name] != value
        ]
        return not found

    until(same, SETTLES)
    return in_vain + "; ".join(found)


def table(made: World, ends: dict[Scenario, Clean], chosen: Iterable[Point]) -> Iterator[Result]:
    """Play each point, those at which the reconciler dies after all others; results as they come."""
    given = list(chosen)
    reconcilers = [point for point in given if point.crash.function == "reconcile_payments"]
    others = [point for point in given if point.crash.function != "reconcile_payments"]
    for group, at_once in ((others, AT_ONCE), (reconcilers, RECONCILERS_AT_ONCE)):
        with ThreadPoolExecutor(at_once) as pool:
            yield from pool.map(lambda point: play(made, point, ends[point.scenario].end), group)


def page(results: Iterable[Result], ways: str) -> str:
    """One row for each call that a function makes."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for result in results:
        crash = result.point.crash
        row = counts.setdefault((crash.function, crash.operation or ""), Counter())
        row[crash.moment] += 1
        row["same"] += result.died and not result.difference
        row["unmet"] += not result.died
        row["other"] += bool(result.difference)
    total = sum(counts.values(), Counter())
    columns = ("before", "after", "same", "unmet", "other")
    rows = [
        f"| {function} | {operation} | {' | '.join(str(row[column]) for column in columns)} |"
        for (function, operation), row in sorted(counts.items())
    ]
    return "\n".join(
        [
            "# Where functions die",
            "",
            "Every function dies right before and right after each of its calls to the outside,",
            f"{ways} ({len(SCENARIOS)} scenarios, tests/properties/crash_points/crash_scenarios.py).",
            "What is repeated must come to",
            "the same end as undisturbed: reservation, dates, sessions, attempts, captures, refunds here and at",
            "Stripe, events, and who was told. Written by",
            "`python -m tests.properties.crash_points.crash_table --write`, which prints",
            "every point; a test keeps the calls complete, and plays some of the points.",
            "",
            f"{total['before'] + total['after']} crash points: {total['same']} with the same end, {total['unmet']} not",
            f"met in {TRIES} tries (where a race or a poll leads), {total['other']} with another end.",
            "",
            "| function | call | dies before | dies after | same end | not met | another end |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.crash_points.crash_table", description=__doc__)
    parser.add_argument("--once", action="store_true", help="each call in the first way that leads there only")
    parser.add_argument("--write", action="store_true", help="write docs/crashes.md")
    parser.add_argument("scenarios", nargs="*", help="these only")
    given = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if not given.scenarios or scenario.__name__ in given.scenarios]
    results = []
    with stage() as made:
        ends = undisturbed(made, chosen)
        for result in table(made, ends, once(points(ends)) if given.once else points(ends)):
            results.append(result)
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    bad = [result for result in results if result.difference]
    unmet = [result for result in results if not result.died]
    sys.stdout.write(f"{len(results)} crash points, {len(unmet)} not met again, {len(bad)} with another end\n")
    if given.write:
        PAGE.write_text(
            page(results, "in the first way that leads there" if given.once else "in every way that leads there")
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
