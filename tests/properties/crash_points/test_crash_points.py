"""A sample of the crash points and of the stopped executions; crash_table.py and stops.py play all of them."""

import re
from pathlib import Path

import pytest

from tests.harness.leaks import WatchedStack
from tests.properties.crash_points.crash_scenarios import SCENARIOS
from tests.properties.crash_points.crash_table import PAGE, CleanRuns, crash_points, play_points, run_without_faults
from tests.properties.crash_points.remaining_states import FOR_REMAINING_STATES
from tests.properties.crash_points.stops import all_stops, play_stops

ROOT = Path(__file__).parents[3]
EVERY = 37


@pytest.fixture(scope="module")
def all_runs(local: WatchedStack) -> CleanRuns:
    return run_without_faults(local, (*SCENARIOS, *FOR_REMAINING_STATES))


@pytest.fixture(scope="module")
def runs(all_runs: CleanRuns) -> CleanRuns:
    """Those of the crash table."""
    return {scenario: run for scenario, run in all_runs.items() if scenario in SCENARIOS}


def test_no_scenario_violates_an_invariant(runs: CleanRuns) -> None:
    assert {scenario.__name__: run.end.violations for scenario, run in runs.items()} == {
        scenario.__name__: [] for scenario in SCENARIOS
    }


def test_a_function_that_crashes_at_a_call_is_retried_to_the_same_end(local: WatchedStack, runs: CleanRuns) -> None:
    points = list(crash_points(runs))
    notifying = [point for point in points if point.crash.operation == "sns.Publish"]  # notifications were lost once
    results = list(play_points(local, runs, [*points[::EVERY], *notifying]))
    assert [str(result) for result in results if result.difference] == []
    # A race between the guest, the webhook and the reconciler may keep a crash point from being reached; but not most.
    for sample in (results, [result for result in results if result.point in notifying]):
        not_reached = [str(result) for result in sample if not result.reached]
        assert len(not_reached) <= len(sample) / 2, not_reached


def calls_to_aws() -> set[tuple[str, str]]:
    """Each function with every operation that its role allows and that it is seen to call (docs/permissions.md)."""
    functions = {path.stem for path in (ROOT / "lambdas").iterdir() if not path.name.startswith("_")}
    permissions = (ROOT / "docs" / "permissions.md").read_text()
    found: dict[str, set[str]] = {}
    for section in re.split(r"^## booking-local-", permissions, flags=re.MULTILINE):
        name = section.partition("\n")[0].replace("-", "_")
        if name in functions:
            found[name] = set(re.findall(r"\| ([a-z]+\.[A-Z]\w+) \|", section))
    assert set(found) == functions
    # The list of all payments and the ledger's days are about no booking; tests/unit/shared/services run a day twice.
    found["operations_api"] -= {"dynamodb.Query"}
    del found["reconcile_ledger"]
    return {(name, operation) for name, operations in found.items() for operation in operations}


def calls_to_stripe() -> set[str]:
    adapter = (ROOT / "shared" / "adapters" / "stripe_api.py").read_text()
    operations = re.findall(r'\bcall\(\s*"([\w.]+)"', adapter)
    assert operations
    return {f"stripe.{operation}" for operation in operations}


def test_the_crash_points_include_every_outside_call(runs: CleanRuns) -> None:
    covered = {(point.crash.function, point.crash.operation) for point in crash_points(runs)}
    assert calls_to_aws() - covered == set()
    assert calls_to_stripe() - {operation for _, operation in covered} == set()


def test_the_page_lists_every_outside_call_and_no_different_end() -> None:
    page = PAGE.read_text()
    rows = set(re.findall(r"^\| (\w+) \| ([\w.]+) \|", page, re.MULTILINE))
    assert calls_to_aws() - rows == set()
    assert calls_to_stripe() - {operation for _, operation in rows} == set()
    assert ", 0 with a different end." in page


def test_a_replacement_does_the_work_of_a_stopped_execution(local: WatchedStack, all_runs: CleanRuns) -> None:
    """In every state that works or waits, before it does anything; in every wait also while it waits.

    Where something outside has happened already, also after that.
    """
    chosen = [
        stop
        for stop in all_stops()
        if stop.moment in {"entered", "waiting"} or stop.state in {"RefundUnusablePayment", "PublishHoldEnding"}
    ]
    results = play_stops(local, all_runs, chosen)
    assert [str(result) for result in results if result.difference or not result.stopped] == []
