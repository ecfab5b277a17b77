"""The crash table: every function dies right before and right after each of its calls to the outside.

`python -m tests.crash.run` plays all of it and prints the table.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.crash.scenarios import SCENARIOS, Actor, End, InVainError, Scenario, end
from tests.simulation.world import Crash, Invocation, Moment, World, every, world

AT_ONCE = 12
# Where calls depend on who was faster (polling, races), a point may not be met: then once more.
TRIES = 4
BY_KIND = {"stripe_webhook", "record_refund"}
MOMENTS: tuple[Moment, ...] = ("before", "after")


@dataclass(frozen=True)
class Point:
    """One way to die, in one scenario."""

    scenario: Scenario
    crash: Crash

    def __str__(self) -> str:
        crash = self.crash
        where = f"{crash.moment} {crash.operation} ({crash.call + 1}) in run {(crash.run or 0) + 1}"
        return f"{self.scenario.__name__}: {crash.function} dies {where}"


@dataclass(frozen=True)
class Result:
    point: Point
    died: bool
    difference: str

    def __str__(self) -> str:
        return f"{self.point}: {self.difference or ('same end' if self.died else 'was not met again')}"


@contextmanager
def stage() -> Iterator[World]:
    """Long timers, nothing cached, and a reconciler at work."""
    later = (timedelta(hours=1), timedelta(days=1))
    with world(100) as made, pytest.MonkeyPatch.context() as patch, every(2.0, made.reconcile):
        patch.setattr("shared.secrets.MAX_AGE", 0)
        patch.setattr("lambdas.reconcile_payments.LOOK_AGAIN_AFTER", later)
        patch.setattr("shared.domain.OPENING_REPEATABLE", timedelta(minutes=4))
        yield made


def clean(made: World, scenario: Scenario) -> tuple[End, str]:
    """How it ends undisturbed, and for which booking."""
    actor = Actor(made)
    scenario(actor)
    actor.ends()
    return end(actor), actor.played.id


def points(scenario: Scenario, invocations: Iterable[Invocation], known: set[tuple[str, ...]]) -> Iterator[Point]:
    """Every call once for each way that led to it: `known` are those that other scenarios have taken already."""
    for invocation in invocations:
        for number, operation in enumerate(invocation.calls):
            # What an event or a refund's end leads to does not show in the calls before.
            kind = scenario.__name__ if invocation.function in BY_KIND else ""
            way = (kind, invocation.function, *_shortened(invocation.calls[: number + 1]))
            if way in known:
                continue
            known.add(way)
            occurrence = invocation.calls[: number + 1].count(operation) - 1
            for moment in MOMENTS:
                yield Point(scenario, Crash(invocation.function, occurrence, moment, operation, invocation.run))


def _shortened(calls: Sequence[str]) -> list[str]:
    """Polling, which goes on for as long as it takes, counts as one call."""
    return [call for number, call in enumerate(calls) if number == 0 or call != calls[number - 1]]


def play(made: World, point: Point, wanted: End) -> Result:
    for _ in range(TRIES):
        result = _play(made, point, wanted)
        if result.died or result.difference:
            break
    return result


def _play(made: World, point: Point, wanted: End) -> Result:
    actor = Actor(made)
    actor.levers.crashes.append(point.crash)
    difference = ""
    try:
        point.scenario(actor)
        actor.ends()
    except InVainError as waited:
        difference = f"waited in vain for {waited}; "
    found = end(actor)
    differences = [
        f"{name}: {value} instead of {vars(wanted)[name]}"
        for name, value in vars(found).items()
        if value != vars(wanted)[name]
    ]
    died = point.crash not in actor.levers.crashes
    return Result(point, died, difference + "; ".join(differences))


def table(sample: slice = slice(None), scenarios: Sequence[Scenario] = SCENARIOS) -> list[Result]:
    """Play each point (of the sample) on one stack."""
    with stage() as made, ThreadPoolExecutor(AT_ONCE) as pool:
        record: list[Invocation] = []
        made.record = record
        ends = dict(zip(scenarios, pool.map(lambda scenario: clean(made, scenario), scenarios), strict=True))
        made.record = None
        known: set[tuple[str, ...]] = set()
        found: list[Point] = []
        for scenario, (wanted, about) in ends.items():
            assert not wanted.broken, f"{scenario.__name__}: {wanted.broken}"
            found += points(scenario, [one for one in record if one.about == about], known)
        return list(pool.map(lambda point: play(made, point, ends[point.scenario][0]), found[sample]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.run", description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="play every n-th point only")
    parser.add_argument("scenarios", nargs="*", help="these only")
    given = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if not given.scenarios or scenario.__name__ in given.scenarios]
    results = table(slice(None, None, given.step), chosen)
    for result in results:
        sys.stdout.write(f"{result}\n")
    bad = [result for result in results if result.difference]
    unmet = [result for result in results if not result.died]
    sys.stdout.write(f"{len(results)} crash points, {len(unmet)} not met again, {len(bad)} with another end\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
