"""Both definitions as they are deployed, and what their tests ask of them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from statemachines.render import load

ROOT = Path(__file__).parents[2]
MACHINES: dict[str, dict[str, Any]] = {name: load(name) for name in ("payment", "refund")}
STATES = [(machine, name) for machine, definition in MACHINES.items() for name in definition["States"]]

# Every name that DynamoDB's SDK integration gives to a transient error.
DYNAMODB_ERRORS = {
    "DynamoDb.InternalServerError",
    "DynamoDb.InternalServerErrorException",
    "DynamoDb.ProvisionedThroughputExceededException",
    "DynamoDb.RequestLimitExceededException",
    "DynamoDb.SdkClientException",
    "DynamoDb.ThrottlingException",
    "DynamoDb.TransactionConflictException",
}

type Transition = tuple[str, str, str]
"""A state, what makes it end this way ("" as usual, a condition, an error's name, or "else"), and the next state."""


# These states call the function of RecordRefund.
_SHARED_FUNCTION = {"RecordRefundFailure": "RecordRefund", "RecordSettledElsewhere": "RecordRefund"}


def function_of(name: str) -> str:
    """Return the name of the function that a state calls, which is the name of the state that it was made for."""
    return _SHARED_FUNCTION.get(name, name)


def module_of(name: str) -> str:
    """Return the module in lambdas/ of the function that a state calls."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", function_of(name)).lower()


def state_of(machine: str, name: str) -> dict[str, Any]:
    state: dict[str, Any] = MACHINES[machine]["States"][name]
    return state


def of_type(*types: str) -> list[tuple[str, str]]:
    return [of for of in STATES if state_of(*of)["Type"] in types]


def tasks(resource: str = "") -> list[tuple[str, str]]:
    """Return the Task states whose resource contains `resource`."""
    return [of for of in of_type("Task") if resource in state_of(*of)["Resource"]]


def waits_for_a_signal() -> list[tuple[str, str]]:
    return tasks(".waitForTaskToken")


def errors_in(state: Mapping[str, Any], *fields: str) -> list[str]:
    """Return every error that `Retry` or `Catch` names."""
    return [name for field in fields for rule in state.get(field, []) for name in rule["ErrorEquals"]]


def transitions(machine: str) -> Iterator[Transition]:
    for name, state in MACHINES[machine]["States"].items():
        if "Next" in state:
            yield name, "", state["Next"]
        for rule in state.get("Choices", []):
            yield name, rule["Condition"].removeprefix("{% ").removesuffix(" %}"), rule["Next"]
        if "Default" in state:
            yield name, "else", state["Default"]
        for catch in state.get("Catch", []):
            for error in catch["ErrorEquals"]:
                yield name, error, catch["Next"]


def leading_to(machine: str, name: str) -> list[Transition]:
    return [transition for transition in transitions(machine) if transition[2] == name]


def reachable(machine: str, start: str, *, without: frozenset[str] = frozenset()) -> set[str]:
    """Return `start` and every state after it, with the states `without` taken out of the definition."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in without:
            found.add(name)
            waiting += [after for before, _, after in transitions(machine) if before == name]
    return found
