"""cfn-lint and statelint check the definitions as they are deployed."""

import json
import re
from typing import Any

import pytest
from cfnlint import lint
from cfnlint.config import ManualArgs
from statelint.linter import Linter

from tests.infra.worker import Seen

# Both wrongly report an expression where a number may stand. tests/workflows runs the expressions.
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
    definition = linted(stack, workflow)
    assert problems(definition) == []
    assert Linter.validate(definition) == []


@pytest.mark.parametrize(("state", "field", "value"), [("AwaitStripe", "Secondz", 1), ("AwaitRetry", "Resource", 1)])
def test_a_mistake_is_found(stack: Seen, state: str, field: str, value: object) -> None:
    definition = linted(stack, "payment")
    definition["States"][state][field] = value
    (problem,) = problems(definition)
    assert problem.startswith("E3601")


@pytest.mark.parametrize(
    ("state", "field", "value", "problem"),
    [
        ("AwaitStripe", "Secondz", 1, 'Field "Secondz" not allowed'),
        ("AwaitStripe", "Next", "Nowhere", 'No state found named "Nowhere"'),
        ("AwaitPayment", "Catch", [{"ErrorEquals": ["States.ALL"], "Next": "AwaitStripe"}] * 2, "last element"),
        ("NextStep?", "Choices", [{"Variable": "$.x", "Next": "AwaitStripe"}], 'Field "Variable" not allowed'),
    ],
)
def test_statelint_finds_a_mistake(stack: Seen, state: str, field: str, value: object, problem: str) -> None:
    definition = linted(stack, "payment")
    definition["States"][state][field] = value
    assert [found for found in Linter.validate(definition) if problem in found]
