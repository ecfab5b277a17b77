"""Executions that are stopped or time out."""

import inspect
import time
from typing import Any

import pytest
from moto.stepfunctions.parser.utils import TMP_THREADS

from local.aws import emulator
from local.aws.patches import execution_end
from tests.local.aws.machine_runner import AWAIT, ROLE, create_state_machine, end_of, history, start, stored_token


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


@pytest.mark.defect("A-04")
def test_the_event_of_an_execution_with_a_customers_key_has_no_data(sfn: Any, dynamodb: Any) -> None:
    events: list[dict[str, Any]] = []
    emulator.on_execution_closed.append(events.append)
    machine = create_state_machine({"Await": AWAIT})
    key = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "one", "kmsDataKeyReusePeriodSeconds": 300}
    for name, more in (("one", {}), ("two", {"encryptionConfiguration": key})):
        sfn.update_state_machine(stateMachineArn=machine, roleArn=ROLE, **more)
        execution = start(machine, {"secret": "of a guest"}, name)
        stored_token(dynamodb, name)
        sfn.stop_execution(executionArn=execution, error="Test", cause="on purpose")
        assert sfn.describe_execution(executionArn=execution)["input"] == '{"secret": "of a guest"}'
    plain, encrypted = ([event["detail"][key] for key in ("input", "error", "cause")] for event in events)
    assert plain == ['{"secret": "of a guest"}', "Test", "on purpose"]
    assert encrypted == [None, None, None]
    assert [event["detail"]["inputDetails"]["included"] for event in events] == [True, False]


def test_an_execution_that_exceeds_its_timeout_is_timed_out(sfn: Any, dynamodb: Any) -> None:
    events: list[dict[str, Any]] = []
    emulator.on_execution_closed.append(events.append)
    execution = start(create_state_machine({"Await": AWAIT}, TimeoutSeconds=1), {})
    assert end_of(execution)["status"] == "TIMED_OUT"
    assert history(execution)[-1]["type"] == "ExecutionTimedOut"
    assert [event["detail"]["status"] for event in events] == ["TIMED_OUT"]


def test_threads_of_executions_that_have_ended_are_not_kept(sfn: Any) -> None:
    machine = create_state_machine({"Done": {"Type": "Succeed"}})
    for name in ("one", "two", "three", "four", "five"):
        assert end_of(start(machine, {}, name))["status"] == "SUCCEEDED"
    # Each has two, and the last ones may not have ended before their execution.
    assert len(TMP_THREADS) <= 4


def test_moto_still_drops_the_reason_of_a_stop() -> None:
    assert "cause" not in inspect.getsource(execution_end.stop_by_api.original)
