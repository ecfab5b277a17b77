"""Executions stopped in every state that works or waits: what they were doing is done by a replacement.

The states are read from the definitions, so that none can be forgotten. `python -m tests.properties.crash_points.stops`
prints a line for each.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.admin_api.executions import Workflow
from statemachines.render import load
from tests.properties.crash_points.crash_scenarios import SCENARIOS, TROUBLED, Actor, End, Scenario
from tests.properties.crash_points.crash_table import AT_ONCE, Clean, differs, stage, undisturbed
from tests.properties.simulation.world import Stop, World

WORKFLOWS: tuple[Workflow, ...] = ("payment", "refund")


@dataclass(frozen=True)
class Result:
    """`scenario` is None where no scenario leads through the state."""

    stop: Stop
    scenario: Scenario | None
    stopped: bool = False
    difference: str = ""

    def __str__(self) -> str:
        name = "nothing" if self.scenario is None else self.scenario.__name__
        return f"{self.stop}: {name}: {self.difference or ('same end' if self.stopped else 'was not met')}"


def stops(workflow: Workflow) -> Iterator[Stop]:
    """Every state of the definition that works or waits, at each of its moments."""
    for name, state in load(workflow)["States"].items():
        if state["Type"] in {"Task", "Wait"}:
            yield Stop(workflow, name, "entered")
        if state["Type"] == "Task":
            yield Stop(workflow, name, "asking")
            yield Stop(workflow, name, "answered")
            if state["Resource"].endswith(".waitForTaskToken"):
                yield Stop(workflow, name, "waiting")


def play(made: World, stop: Stop, scenario: Scenario, wanted: End) -> Result:
    actor = Actor(made)
    actor.faults_injected.stops.append(stop)
    # Whom the execution was about to tell of its own end is told of its being stopped instead.
    ignoring = frozenset({"notified"} if stop.state in {"NotifyOperators", "NotifyDefect"} else ())
    difference = differs(actor, scenario, wanted, ignoring)
    return Result(stop, scenario, stop not in actor.faults_injected.stops, difference)


def table(made: World, ends: dict[Scenario, Clean], chosen: Sequence[Stop]) -> list[Result]:
    """Play each stop in the first scenario that leads through its state."""

    def stopped(stop: Stop) -> Result:
        for scenario, clean in ends.items():
            if (stop.workflow, stop.state) in clean.visited:
                return play(made, stop, scenario, clean.end)
        return Result(stop, None)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(stopped, chosen))


def main() -> int:
    with stage() as made:
        ends = undisturbed(made, (*SCENARIOS, *TROUBLED))
        results = table(made, ends, [stop for workflow in WORKFLOWS for stop in stops(workflow)])
    for result in results:
        sys.stdout.write(f"{result}\n")
    bad = [result for result in results if result.difference or not result.stopped]
    sys.stdout.write(f"{len(results)} stops, {len(bad)} with another end or not met\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
