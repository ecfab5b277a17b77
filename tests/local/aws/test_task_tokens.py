"""Task tokens: answered once, closed in time, a new one for each attempt."""

import json
import time
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeSuccess, CallbackPoolManager

from local.aws import emulator
from local.aws.patches import task_tokens
from tests.harness.waiting import wait_until
from tests.local.aws.machine_runner import AWAIT, create_state_machine, end_of, history, start, stored_token


def test_only_the_first_answer_reaches_the_waiting_state(sfn: Any, dynamodb: Any) -> None:
    execution = start(create_state_machine({"Await": AWAIT}), {})
    token = stored_token(dynamodb)
    sfn.send_task_success(taskToken=token, output='{"signal": "refresh"}')
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output='{"signal": "second"}')
    assert json.loads(end_of(execution)["output"]) == {"signal": "refresh"}
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")


def test_an_unknown_token_is_invalid(sfn: Any) -> None:
    with pytest.raises(sfn.exceptions.InvalidToken):
        sfn.send_task_success(taskToken="made up", output="{}")


def test_output_that_is_not_json_is_refused_and_the_state_keeps_waiting(sfn: Any, dynamodb: Any) -> None:
    execution = start(create_state_machine({"Await": AWAIT}), {})
    token = stored_token(dynamodb)
    with pytest.raises(sfn.exceptions.InvalidOutput):
        sfn.send_task_success(taskToken=token, output="refresh")
    sfn.send_task_success(taskToken=token, output='"refresh"')
    assert json.loads(end_of(execution)["output"]) == "refresh"


def test_a_failure_is_caught_by_its_error_name(sfn: Any, dynamodb: Any) -> None:
    catch = [{"ErrorEquals": ["NoSuchCard"], "Next": "Caught"}]
    states = {"Await": AWAIT | {"Catch": catch}, "Caught": {"Type": "Pass", "Output": "caught", "End": True}}
    execution = start(create_state_machine(states), {})
    sfn.send_task_failure(taskToken=stored_token(dynamodb), error="NoSuchCard")
    assert json.loads(end_of(execution)["output"]) == "caught"


def test_a_timeout_closes_the_token_although_the_execution_goes_on(sfn: Any, dynamodb: Any) -> None:
    await_retry = AWAIT | {"Arguments": AWAIT["Arguments"] | {"UpdateExpression": "SET retry_token = :token"}}
    states = {
        "Await": AWAIT | {"TimeoutSeconds": 1, "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "AwaitRetry"}]},
        "AwaitRetry": await_retry,
    }
    execution = start(create_state_machine(states), {})
    token = stored_token(dynamodb)
    item = wait_until(lambda: retry_item(dynamodb), "the second token to be stored")
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")
    sfn.send_task_success(taskToken=item["retry_token"]["S"], output='"retry"')
    assert json.loads(end_of(execution)["output"]) == "retry"


def retry_item(dynamodb: Any) -> Any:
    item = dynamodb.get_item(TableName="payments", Key={"id": {"S": "one"}})["Item"]
    return item if "retry_token" in item else None


def test_an_answer_at_the_deadline_is_either_used_or_refused(sfn: Any, dynamodb: Any) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]
    states = {
        "Await": AWAIT | {"TimeoutSeconds": 1, "Catch": catch, "Output": "answered"},
        "Late": {"Type": "Pass", "Output": "late", "End": True},
    }
    arn = create_state_machine(states)

    def race(number: int) -> tuple[bool, str]:
        name = f"race-{number}"
        execution = start(arn, {}, name)
        token = stored_token(dynamodb, name)
        started = history(execution)[1]["timestamp"].timestamp()
        time.sleep(max(0, started + 0.985 + number * 0.004 - time.time()))
        try:
            sfn.send_task_success(taskToken=token, output="{}")
        except sfn.exceptions.TaskTimedOut:
            return False, json.loads(end_of(execution)["output"])
        return True, json.loads(end_of(execution)["output"])

    with ThreadPoolExecutor(12) as pool:
        results = set(pool.map(race, range(12)))
    assert results <= {(True, "answered"), (False, "late")}


def test_each_attempt_of_a_state_has_its_own_token(sfn: Any, dynamodb: Any) -> None:
    retry = [{"ErrorEquals": ["DynamoDb.TransactionConflictException"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    emulator.aws_faults.add("dynamodb.UpdateItem", "conflict")
    execution = start(create_state_machine({"Await": AWAIT | {"Retry": retry}}), {})
    sfn.send_task_success(taskToken=stored_token(dynamodb), output='"done"')
    assert json.loads(end_of(execution)["output"]) == "done"
    scheduled = [event["taskScheduledEventDetails"] for event in history(execution) if event["type"] == "TaskScheduled"]
    tokens = {json.loads(task["parameters"])["ExpressionAttributeValues"][":token"]["S"] for task in scheduled}
    assert len(tokens) == 2


def test_fifty_executions_wait_and_end_concurrently(sfn: Any, dynamodb: Any) -> None:
    arn = create_state_machine({"Await": AWAIT})

    def one(number: int) -> str:
        execution = start(arn, {}, f"many-{number}")
        token = stored_token(dynamodb, f"many-{number}")
        sfn.send_task_success(taskToken=token, output="{}")
        return str(end_of(execution)["status"])

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == ["SUCCEEDED"] * 50


def test_moto_still_fails_on_executions_that_are_starting() -> None:
    starting = types.SimpleNamespace(exec_worker=types.SimpleNamespace(env=None))
    backend = types.SimpleNamespace(_get_executions=lambda *_: [starting])
    with pytest.raises(AttributeError):
        task_tokens.send_task_success.original(backend, "token", "{}")


def test_moto_still_accepts_a_second_answer() -> None:
    pool = CallbackPoolManager(activity_store={})
    task_tokens.add_endpoint.original(pool, "token")
    outcome = CallbackOutcomeSuccess("token", "{}")
    assert [pool.notify("token", outcome), pool.notify("token", outcome)] == [True, True]
