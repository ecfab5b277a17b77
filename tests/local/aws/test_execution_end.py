"""Executions that are stopped or time out."""

import inspect
import time
from typing import Any

import pytest

from local.aws import emulator
from local.aws.patches import execution_end
from tests.local.aws.machine_runner import AWAIT, create_state_machine, end_of, history, start, stored_token


def test_a_stopped_execution_ends_at_once_although_it_waits(sfn: Any, dynamodb: Any) -> None:
    events: list[dict[str, Any]] = []
    emulator.on_execution_closed.append(events.append)
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    execution = start(create_state_machine({"Await": AWAIT | {"Catch": catch}, "Caught": {"Type": "Succeed"}}), {})
    token = stored_token(dynamodb)
    sfn.stop_execution(executionArn=execution, error="Test", cause="on purpose")
    result = sfn.describe_execution(executionArn=execution)
    assert (result["status"], result["error"], result["cause"]) == ("ABORTED", "Test", "on purpose")
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")
    time.sleep(0.2)
    assert sfn.describe_execution(executionArn=execution)["status"] == "ABORTED"
    assert history(execution)[-1]["type"] == "ExecutionAborted"
    assert [(event["detail"]["name"], event["detail"]["status"]) for event in events] == [("one", "ABORTED")]


def test_an_execution_that_exceeds_its_timeout_is_timed_out(sfn: Any, dynamodb: Any) -> None:
    events: list[dict[str, Any]] = []
    emulator.on_execution_closed.append(events.append)
    execution = start(create_state_machine({"Await": AWAIT}, TimeoutSeconds=1), {})
    assert end_of(execution)["status"] == "TIMED_OUT"
    assert history(execution)[-1]["type"] == "ExecutionTimedOut"
    assert [event["detail"]["status"] for event in events] == ["TIMED_OUT"]


def test_moto_still_drops_the_reason_of_a_stop() -> None:
    assert "cause" not in inspect.getsource(execution_end.stop_by_api.original)
