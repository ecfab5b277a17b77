"""`python -m scripts.check_resources` finds each fault that is planted here into one resource of the stack `prod`."""

import json
from dataclasses import replace
from typing import Any

import pytest

from local.pulumi.resources.registry import RESOURCE_TYPES
from local.pulumi.resources.resource_type import Resource
from scripts import aws_policies, check_resources
from scripts.service_calls import CALLS
from scripts.service_inputs import InputChecks
from tests.harness.tables import in_table
from tests.infra.conftest import Deploy
from tests.infra.worker import Seen

TOPIC = "arn:aws:sns:eu-west-1:123456789012:booking-prod-operators"
TABLES = "arn:aws:dynamodb:eu-west-1:123456789012:table"


@pytest.fixture(scope="module")
def prod(deploy: Deploy) -> Seen:
    return deploy(
        name="prod", package="false", frontendUrl="https://booking.example.com", **check_resources.STACKS["prod"]
    )


def problems_of(resource: Resource) -> list[str]:
    return list(check_resources.problems([resource], InputChecks()))


def find(stack: Seen, name: str) -> Resource:
    """Find a resource by the end of its type and its name, such as `Function payments-api`."""
    type_, _, label = name.partition(" ")
    (found,) = (
        one for one in stack.deployment.resources if one.type.endswith(f":{type_}") and (one.name == label or not label)
    )
    return found


def put(inputs: Any, path: str, value: Any) -> Any:
    """Return a copy in which the value at a path such as `target.retryPolicy` is another one."""
    first, _, rest = path.partition(".")
    if isinstance(inputs, list):
        return [put(inputs[0], path, value), *inputs[1:]]
    return {**inputs, first: put(inputs[first], rest, value) if rest else value}


def policy_on(tables: int) -> str:
    arns = [f"{TABLES}/booking-prod-{number:010}" for number in range(tables)]
    statement = {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": arns}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@in_table()
def test_a_wrong_property_is_found(prod: Seen, name: str, path: str, value: object, problem: str) -> None:
    find_problem(prod, name, path, value, problem)


@pytest.mark.parametrize(
    ("name", "path", "value", "problem"),
    [
        ("MetricAlarm ApiFailing", "dimensions", {f"d{n}": "x" for n in range(31)}, "Dimensions: "),
        ("RolePolicy payments-api", "policy", policy_on(200), "the inline policies of its"),
        ("EventRule", "eventPattern", json.dumps({"source": ["s" * 2_048]}), "eventPattern: "),
    ],
)
def test_a_property_that_is_too_large_is_found(prod: Seen, name: str, path: str, value: object, problem: str) -> None:
    find_problem(prod, name, path, value, problem)


def find_problem(prod: Seen, name: str, path: str, value: object, problem: str) -> None:
    """Expect the problem once the property has this value, and not before."""
    right = find(prod, name)
    assert [found for found in problems_of(right) if problem in found] == []
    wrong = replace(right, inputs=put(right.inputs, path, value))
    assert [found for found in problems_of(wrong) if problem in found]


@in_table()
def test_a_wrong_policy_is_found(prod: Seen, name: str, change: dict[str, Any], problem: str) -> None:
    right = find(prod, name)
    assert [found for found in problems_of(right) if problem in found] == []
    property_ = "assumeRolePolicy" if name.startswith("Role ") else "policy"
    policy = json.loads(right.inputs[property_])
    policy["Statement"][0] |= change
    wrong = replace(right, inputs=right.inputs | {property_: json.dumps(policy)})
    assert [found for found in problems_of(wrong) if problem in found]


def test_every_type_of_resource_is_checked() -> None:
    assert CALLS.keys() == RESOURCE_TYPES.keys()


def test_each_exception_is_still_needed(prod: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = list(aws_policies.ACCEPTED)
    monkeypatch.setattr(aws_policies, "ACCEPTED", {})
    reported = [(one.type, problem) for one, problem in aws_policies.policy_problems(prod.deployment.resources)]
    for type_, message in accepted:
        assert any(of == type_ and message in problem for of, problem in reported)
