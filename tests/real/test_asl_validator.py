"""asl-validator checks the definitions as they are deployed, with the grammar of each expression."""

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from local.external_tools import install
from tests.harness.running_stack import quiet_imports
from tests.infra import worker
from tests.real.conftest import tool_or_skip

pytestmark = pytest.mark.asl_validator

type Json = dict[str, Any]


@pytest.fixture(scope="module")
def definitions() -> dict[str, Json]:
    with quiet_imports(), mock.patch.dict(os.environ):
        seen = worker.deploy({})
    return {name: json.loads(text) for name, text in seen.definitions.items()}


@pytest.fixture(scope="module")
def validator() -> Path:
    return tool_or_skip(lambda: install("asl-validator", ["npm", "ci", "--no-audit", "--no-fund"]))


def problems(validator: Path, definition: Json, folder: Path) -> list[str]:
    path = folder / "definition.json"
    path.write_text(json.dumps(definition))
    command = ["node_modules/.bin/asl-validator", "--json-path", str(path)]
    completed = subprocess.run(command, cwd=validator, capture_output=True, text=True, check=False)
    return [] if completed.returncode == 0 else (completed.stdout + completed.stderr).splitlines()[1:]


def without_empty_texts(definition: Json) -> Json:
    """It refuses "" in Assign, which is an ordinary value."""
    text = json.dumps(definition).replace('": ""', '": "-"')
    return dict(json.loads(text))


@pytest.mark.parametrize("workflow", ["payment", "refund"])
def test_the_deployed_definition_has_no_problem(
    validator: Path, definitions: dict[str, Json], workflow: str, tmp_path: Path
) -> None:
    definition = definitions[f"booking-local-{workflow}"]
    assert problems(validator, without_empty_texts(definition), tmp_path) == []


def test_known_fault_it_refuses_an_empty_text(validator: Path, definitions: dict[str, Json], tmp_path: Path) -> None:
    """Once it does not, without_empty_texts can go."""
    assert problems(validator, definitions["booking-local-refund"], tmp_path)


FAULTS: dict[str, Callable[[Json], object]] = {
    "an expression that cannot be parsed": lambda s: s["AwaitStripe"].update(Seconds="{% 30 * ( %}"),
    "a state that does not exist": lambda s: s["AwaitStripe"].update(Next="Nowhere"),
    "a state that nothing leads to": lambda s: s.update(Lost={"Type": "Succeed"}),
    "a field of JSONPath": lambda s: s["AwaitRetry"].update(InputPath="$"),
    "a resource that is no ARN": lambda s: s["CreateCheckoutSession"].update(Resource="lambda"),
    "a timeout below zero": lambda s: s["CreateCheckoutSession"].update(TimeoutSeconds=-1),
    "a state without an end": lambda s: s["AwaitStripe"].pop("Next"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_definition_is_found(
    validator: Path, definitions: dict[str, Json], fault: Callable[[Json], object], tmp_path: Path
) -> None:
    definition = copy.deepcopy(definitions["booking-local-payment"])
    fault(definition["States"])
    assert problems(validator, definition, tmp_path)
