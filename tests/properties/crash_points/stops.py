"""Stop executions in every state that works or waits, and compare how the bookings end.

Plays all stops, which are read from the definitions, and prints a line for each.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local.admin_api.executions import Workflow
from statemachines.render import load
from tests.harness.leaks import WatchedStack
from tests.harness.running_stack import WORKFLOWS
from tests.properties.crash_points.crash_driver import CrashDriver
from tests.properties.crash_points.crash_scenarios import SCENARIOS, Scenario
from tests.properties.crash_points.crash_table import CleanRuns, crash_stack, play_and_compare, run_without_faults
from tests.properties.crash_points.end_state import EndState
from tests.properties.crash_points.remaining_states import FOR_REMAINING_STATES
from tests.properties.simulation.simulated_stack import deployed
from tests.properties.simulation.simulation_faults import Stop


@dataclass(frozen=True)
class Result:
    """`scenario` is None if no scenario leads through the state."""

    stop: Stop
    scenario: Scenario | None
    stopped: bool = False
    difference: str = ""

    def __str__(self) -> str:
        name = "no scenario" if self.scenario is None else self.scenario.__name__
        return f"{self.stop}: {name}: {self.difference or ('same end' if self.stopped else 'not reached')}"


def all_stops() -> list[Stop]:
    """Every moment of every state that works or waits."""
    return [stop for workflow in WORKFLOWS for stop in _stops(workflow)]


def _stops(workflow: Workflow) -> Iterator[Stop]:
    for name, state in load(workflow)["States"].items():
        if state["Type"] in {"Task", "Wait"}:
            yield Stop(workflow, name, "entered")
        if state["Type"] == "Task":
            yield Stop(workflow, name, "calling")
            yield Stop(workflow, name, "finished")
            if state["Resource"].endswith(".waitForTaskToken"):
                yield Stop(workflow, name, "waiting")


def play_stop(local: WatchedStack, stop: Stop, scenario: Scenario, expected: EndState) -> Result:
    with crash_stack(local) as stack:
        driver = CrashDriver(stack)
        driver.faults.stops.append(stop)
        # Stopped before it notifies operators, an execution is reported as stopped instead.
        ignored = frozenset({"notifications"} if stop.state in {"NotifyOperators", "NotifyDefect"} else ())
        difference = play_and_compare(driver, scenario, expected, ignored)
        return Result(stop, scenario, stop not in driver.faults.stops, difference)


def play_stops(local: WatchedStack, runs: CleanRuns, chosen: Sequence[Stop]) -> list[Result]:
    """Play each stop in the first scenario that leads through its state."""

    def play(stop: Stop) -> Result:
        for scenario, run in runs.items():
            if (stop.workflow, stop.state) in run.visited:
                return play_stop(local, stop, scenario, run.end)
        return Result(stop, None)

    return [play(stop) for stop in chosen]


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.properties.crash_points.stops", description=__doc__).parse_args()
    with deployed() as local:
        runs = run_without_faults(local, (*SCENARIOS, *FOR_REMAINING_STATES))
        results = play_stops(local, runs, all_stops())
    for result in results:
        sys.stdout.write(f"{result}\n")
    failed = [result for result in results if result.difference or not result.stopped]
    sys.stdout.write(f"{len(results)} stops: {len(failed)} not reached or with a different end\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
