"""A sample of the crash points and of the stopped executions; crash_table.py and stops.py play all of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.properties.crash_points import crash_table as run
from tests.properties.crash_points import stops
from tests.properties.crash_points.crash_scenarios import SCENARIOS, TROUBLED, Scenario
from tests.properties.crash_points.crash_table import Clean
from tests.properties.simulation.world import World

ROOT = Path(__file__).parents[3]
EVERY = 37


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with run.stage() as stage:
        yield stage


@pytest.fixture(scope="module")
def ends(made: World) -> dict[Scenario, Clean]:
    return run.undisturbed(made, (*SCENARIOS, *TROUBLED))


def of_the_table(ends: dict[Scenario, Clean]) -> dict[Scenario, Clean]:
    return {scenario: clean for scenario, clean in ends.items() if scenario in SCENARIOS}


def test_the_scenarios_end_well(ends: dict[Scenario, Clean]) -> None:
    assert {scenario.__name__: clean.end.broken for scenario, clean in of_the_table(ends).items()} == {
        scenario.__name__: [] for scenario in SCENARIOS
    }


def test_a_function_that_dies_at_a_call_is_repeated_to_the_same_end_with_the_same_money(
    made: World, ends: dict[Scenario, Clean]
) -> None:
    every = list(run.points(of_the_table(ends)))
    telling = [point for point in every if point.crash.operation == "sns.Publish"]  # found lost once
    results = list(run.table(made, ends, [*every[::EVERY], *telling]))
    assert [str(result) for result in results if result.difference] == []
    # A point may not be met again where calls depend on who is faster: the guest, the webhook, or the reconciler, which
    # comes by every 2 seconds. Most do not.
    told = [result for result in results if result.point in telling]
    for played in (results, told):
        unmet = [str(result) for result in played if not result.died]
        assert len(unmet) <= len(played) / 2, unmet


def calls() -> set[tuple[str, str]]:
    """Each function with every call to AWS that its role may make, and is seen to make (docs/permissions.md)."""
    found: dict[str, set[str]] = {}
    for section in re.split(r"^## booking-local-", (ROOT / "docs" / "permissions.md").read_text(), flags=re.MULTILINE):
        name = section.partition("\n")[0].replace("-", "_")
        if (ROOT / "lambdas" / f"{name}.py").exists():
            found[name] = set(re.findall(r"\| ([a-z]+\.[A-Z]\w+) \|", section))
    assert set(found) == {path.stem for path in (ROOT / "lambdas").glob("*.py")}
    return {(name, operation) for name, operations in found.items() for operation in operations}


def calls_to_stripe() -> set[str]:
    asked = re.findall(r'_call\(\s*"([\w.]+)"', (ROOT / "shared" / "adapters" / "stripe_api.py").read_text())
    assert asked
    return {f"stripe.{operation}" for operation in asked}


def test_no_call_of_any_function_is_missing_in_the_crash_table(ends: dict[Scenario, Clean]) -> None:
    table = {(point.crash.function, point.crash.operation) for point in run.points(of_the_table(ends))}
    assert calls() - table == set()
    assert calls_to_stripe() - {operation for _, operation in table} == set()


def test_the_page_has_every_call_and_no_other_end() -> None:
    page = run.PAGE.read_text()
    rows = set(re.findall(r"^\| (\w+) \| ([\w.]+) \|", page, re.MULTILINE))
    assert calls() - rows == set()
    assert calls_to_stripe() - {operation for _, operation in rows} == set()
    assert ", 0 with another end." in page


def test_what_an_execution_was_doing_when_it_was_stopped_is_done_by_a_replacement(
    made: World, ends: dict[Scenario, Clean]
) -> None:
    """Every state that works or waits, before it does anything; every wait also while it waits."""
    chosen = [
        stop for workflow in stops.WORKFLOWS for stop in stops.stops(workflow) if stop.moment in {"entered", "waiting"}
    ]
    results = stops.table(made, ends, chosen)
    assert [str(result) for result in results if result.difference or not result.stopped] == []
