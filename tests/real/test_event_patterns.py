"""The patterns of the rules, matched by AWS's own matcher, event-ruler."""

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from local.external_tools import check_library, install
from tests.harness.running_stack import quiet_imports
from tests.infra import worker
from tests.real.conftest import tool_or_skip

pytestmark = pytest.mark.event_ruler

type Json = dict[str, Any]

STATES = "arn:aws:states:eu-west-1:123456789012"
# As the developer guide of Step Functions shows it.
EXECUTION_FAILED: Json = {
    "version": "0",
    "id": "315c1398-40ff-a850-213b-158f73e60175",
    "detail-type": "Step Functions Execution Status Change",
    "source": "aws.states",
    "account": "123456789012",
    "time": "2026-11-27T19:42:21Z",
    "region": "eu-west-1",
    "resources": [f"{STATES}:execution:booking-dev-payment:RES-1"],
    "detail": {
        "executionArn": f"{STATES}:execution:booking-dev-payment:RES-1",
        "stateMachineArn": f"{STATES}:stateMachine:booking-dev-payment",
        "name": "RES-1",
        "status": "FAILED",
        "startDate": 1551225146847,
        "stopDate": 1551225151881,
        "input": "{}",
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
        "error": "States.Runtime",
        "cause": "",
    },
}


def with_detail(**changes: Any) -> Json:
    return {**EXECUTION_FAILED, "detail": {**EXECUTION_FAILED["detail"], **changes}}


def with_fields(**changes: Any) -> Json:
    return {**EXECUTION_FAILED, **changes}


# By rule, the events that it must match, and those that it must not.
EVENTS: dict[str, tuple[list[Json], list[Json]]] = {
    "executions-died": (
        [
            EXECUTION_FAILED,
            with_detail(status="TIMED_OUT"),
            with_detail(status="ABORTED", error=None, cause=None),
            with_detail(stateMachineArn=f"{STATES}:stateMachine:booking-dev-refund"),
            # Under a customer's key.
            with_detail(input=None, inputDetails={"included": False}, error=None, cause=None),
        ],
        [
            with_detail(status="RUNNING"),
            with_detail(status="SUCCEEDED"),
            with_detail(stateMachineArn=f"{STATES}:stateMachine:booking-prod-payment"),
            with_fields(source="booking.states"),
            with_fields(**{"detail-type": "Step Functions Map Run Status Change"}),
        ],
    )
}


@pytest.fixture(scope="module")
def patterns() -> dict[str, Json]:
    """The patterns of the stack `dev`, by the rule's name."""
    with quiet_imports(), mock.patch.dict(os.environ):
        seen = worker.deploy({"package": "false", "frontendUrl": "https://booking.example.com"}, name="dev")
    rules = seen.deployment.of_type("aws:cloudwatch/eventRule:EventRule")
    return {rule.name: json.loads(rule.inputs["eventPattern"]) for rule in rules}


@pytest.fixture(scope="module")
def ruler() -> Path:
    copied = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    folder = tool_or_skip(lambda: install("event-ruler", copied))
    check_library(folder)
    return folder


def match(ruler: Path, pattern: Json, events: list[Json]) -> list[str]:
    """By event `true` or `false`, or what is wrong with the pattern."""
    lines = "\n".join(json.dumps({"pattern": pattern, "event": event}) for event in events)
    command = ["java", "-cp", "lib/*", "Match.java"]
    return subprocess.run(
        command, cwd=ruler, input=lines, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_each_rule_has_events(patterns: dict[str, Json]) -> None:
    assert patterns.keys() == EVENTS.keys()


@pytest.mark.parametrize("rule", EVENTS)
def test_a_rule_matches_what_it_must_and_nothing_else(ruler: Path, patterns: dict[str, Json], rule: str) -> None:
    wanted, others = EVENTS[rule]
    assert match(ruler, patterns[rule], wanted) == ["true"] * len(wanted)
    assert match(ruler, patterns[rule], others) == ["false"] * len(others)


def misspell(pattern: Json) -> None:
    pattern["detail"]["state"] = pattern["detail"].pop("status")


def move_out_of_the_detail(pattern: Json) -> None:
    pattern["status"] = pattern["detail"].pop("status")


def name_an_unknown_matcher(pattern: Json) -> None:
    pattern["detail"]["status"] = [{"starts-with": "FAIL"}]


def forget_the_list(pattern: Json) -> None:
    pattern["source"] = "aws.states"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (misspell, "false"),
        (move_out_of_the_detail, "false"),
        (name_an_unknown_matcher, "Unrecognized match type starts-with"),
        (forget_the_list, '"source" must be an object or an array'),
    ],
)
def test_a_fault_in_a_pattern_is_found(
    ruler: Path, patterns: dict[str, Json], fault: Callable[[Json], None], found: str
) -> None:
    pattern = copy.deepcopy(patterns["executions-died"])
    fault(pattern)
    assert match(ruler, pattern, [EXECUTION_FAILED]) == [found]
