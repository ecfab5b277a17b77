"""`make release-payloads`: keeps, at a release, what its states were given and answered, and what it stored.

Written to tests/release/last: the definitions, and payloads.json with
  functions   by module: inputs and answers of every state, one of each shape that the stories produced
  starts      by workflow: inputs of executions
  items       by table: items as stored (as JSON; numbers as text, as DynamoDB has them)
tests/release/test_last_release.py holds the code of today to them.
"""

import contextlib
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.aws import emulator
from local.aws.patches import lambda_invocation
from tests.infra.test_least_privilege import STORIES
from tests.workflows.refund.conftest import start

LAST = Path(__file__).with_name("last")
DEFINITIONS = Path(__file__).parents[2] / "statemachines"
TABLES = {"payments": "paymentsTable", "reservations": "reservationsTable", "events": "webhookEventsTable"}

type Json = dict[str, Any]


def shape(value: Any) -> Any:
    """What two payloads have in common that are worth one test: fields and short words, not ids, amounts and times."""
    match value:
        case dict():
            return tuple(sorted((str(key).rstrip("0123456789")[:12], shape(of)) for key, of in value.items()))
        case list():
            return tuple(sorted({shape(of) for of in value}, key=str))
        case str() if value.isalpha() and value.islower():
            return value
        case _:
            return type(value).__name__


def one_of_each(payloads: list[Json]) -> list[Json]:
    found: dict[Any, Json] = {}
    for payload in payloads:
        found.setdefault(shape(payload), payload)
    return list(found.values())


def record() -> Json:
    functions: dict[str, list[Json]] = {}
    run = lambda_invocation.run_handler

    def recorded(function: Any, body: str | bytes) -> tuple[bytes, bool]:
        answer, failed = run(function, body)
        given = json.loads(body or "{}")
        if "execution" in given and not failed:
            module = str(function.handler).split(".")[1]
            functions.setdefault(module, []).append({"input": given, "answer": json.loads(answer)})
        return answer, failed

    with contextlib.ExitStack() as end, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lambda_invocation, "run_handler", recorded)
        world = start(end)
        for told in [world.meanwhile(functools.partial(story, world)) for story in STORIES]:
            told.result()
        states: Any = boto3.client("stepfunctions", region_name=emulator.REGION)
        dynamodb: Any = boto3.client("dynamodb", region_name=emulator.REGION)
        starts = {
            workflow: one_of_each(
                [
                    json.loads(states.describe_execution(executionArn=execution["executionArn"])["input"])
                    for execution in states.list_executions(
                        stateMachineArn=world.stack.outputs[f"{workflow}StateMachineArn"]
                    )["executions"]
                ]
            )
            for workflow in ("payment", "refund")
        }
        items = {
            name: one_of_each(dynamodb.scan(TableName=world.stack.outputs[output])["Items"])
            for name, output in TABLES.items()
        }
    return {
        "functions": {module: one_of_each(functions[module]) for module in sorted(functions)},
        "starts": starts,
        "items": items,
    }


if __name__ == "__main__":
    payloads = record()
    LAST.mkdir(exist_ok=True)
    for path in DEFINITIONS.glob("*.asl.json"):
        shutil.copy(path, LAST / path.name)
    (LAST / "payloads.json").write_text(json.dumps(payloads, indent=1, sort_keys=True) + "\n", encoding="utf-8")
