"""Executions started by the ARN of a version or an alias, once for each name."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.aws import emulator
from local.aws.patches import aliases_and_versions
from tests.local.aws.machine_runner import AWAIT, create_state_machine, end_of, start


def test_executions_are_started_by_version_and_by_alias(sfn: Any) -> None:
    arn = create_state_machine({"Done": {"Type": "Pass", "End": True}})
    routing = [{"stateMachineVersionArn": f"{arn}:1", "weight": 100}]
    sfn.create_state_machine_alias(name="live", routingConfiguration=routing)
    for number, qualifier in enumerate(("1", "live")):
        execution = start(f"{arn}:{qualifier}", {"by": qualifier}, f"by-{number}")
        assert json.loads(end_of(execution)["output"]) == {"by": qualifier}
    assert len(sfn.list_executions(stateMachineArn=f"{arn}:live")["executions"]) == 2


def test_concurrent_starts_with_one_name_give_one_execution(sfn: Any, dynamodb: Any) -> None:
    arn = create_state_machine({"Await": AWAIT})
    with ThreadPoolExecutor(10) as pool:
        started = set(pool.map(lambda _: start(arn, {"same": True}), range(10)))
    assert len(started) == 1
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        start(arn, {"same": False})
    assert len(sfn.list_executions(stateMachineArn=arn)["executions"]) == 1


def test_a_name_longer_than_80_characters_is_refused(sfn: Any) -> None:
    arn = create_state_machine({"Done": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError, match=r"maxLength|Value|80"):
        start(arn, {}, "x" * 81)


def test_moto_still_cannot_start_a_version(aws: None) -> None:
    arn = create_state_machine({"Done": {"Type": "Pass", "End": True}})
    backend = stepfunctions_parser_backends[emulator.ACCOUNT][emulator.REGION]
    version = aliases_and_versions.describe_state_machine.original(backend, f"{arn}:1")
    assert not hasattr(version, "_handle_name_input_idempotency")  # moto's start_execution calls it
