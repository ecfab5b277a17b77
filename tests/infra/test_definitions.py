"""cfn-lint checks the definitions as they are deployed."""

import json
import re
from typing import Any

import pytest
from cfnlint import lint
from cfnlint.config import ManualArgs

from tests.infra.worker import Seen

# cfn-lint wrongly reports an expression where a number may stand. tests/workflows runs the expressions.
NUMBERS = re.compile(r'"(TimeoutSeconds|Seconds)": "\{%[^"]*%\}"')


def problems(definition: dict[str, Any]) -> list[str]:
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/r", "Definition": definition},
            }
        },
    }
    return [
        f"{m.rule.id} {m.path}: {m.message}"
        for m in lint(json.dumps(template), config=ManualArgs(regions=["eu-west-1"]))
    ]


def linted(stack: Seen, workflow: str) -> dict[str, Any]:
    text, count = NUMBERS.subn(r'"\1": 30', stack.definitions[f"booking-local-{workflow}"])
    assert count == {"payment": 3, "refund": 0}[workflow]
    return dict(json.loads(text))


@pytest.mark.parametrize("workflow", ["payment", "refund"])
def test_the_deployed_definition_has_no_problem(stack: Seen, workflow: str) -> None:
    assert problems(linted(stack, workflow)) == []


@pytest.mark.parametrize(("state", "field", "value"), [("AwaitStripe", "Secondz", 1), ("AwaitRetry", "Resource", 1)])
def test_a_mistake_is_found(stack: Seen, state: str, field: str, value: object) -> None:
    definition = linted(stack, "payment")
    definition["States"][state][field] = value
    (problem,) = problems(definition)
    assert problem.startswith("E3601")
