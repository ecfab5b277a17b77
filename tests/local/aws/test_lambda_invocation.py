"""Functions, run by their real handlers in this process."""

import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from moto.awslambda_simple.models import LambdaSimpleBackend

from local.aws import emulator
from local.aws.patches import lambda_invocation
from tests.local.aws.machine_runner import deploy_function, output, run


class RoomTaken(Exception):
    pass


def invoke_state(arn: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": arn, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        "End": True,
    } | fields


def test_a_function_runs_in_process_with_its_own_context(aws: None) -> None:
    def handler(event: Any, context: Any) -> Any:
        remaining = context.get_remaining_time_in_millis()
        return {
            "event": event,
            "name": context.function_name,
            "running": emulator.current_function.get(),
            "time remains": 0 < remaining <= 3000,
        }

    arn = deploy_function(handler)
    assert output({"Invoke": invoke_state(arn)}, {"id": "RES-1"}) == {
        "event": {"id": "RES-1"},
        "name": "booking-echo",
        "running": "echo",
        "time remains": True,
    }
    assert emulator.current_function.get() is None
    assert len(emulator.counts.functions["echo"]) == 1


def test_a_pinned_version_resolves(aws: None) -> None:
    arn = deploy_function(lambda _, context: context.function_version)
    assert output({"Invoke": invoke_state(f"{arn}:1")}) == "1"


def test_an_alias_resolves(aws: None) -> None:
    arn = deploy_function(lambda _, context: context.function_version)
    boto3.client("lambda").create_alias(FunctionName="booking-echo", Name="live", FunctionVersion="1")
    assert output({"Invoke": invoke_state(f"{arn}:live")}) == "1"


def test_an_exception_is_caught_by_its_class_name(aws: None) -> None:
    def handler(event: Any, context: Any) -> Any:
        raise RoomTaken("room 7")

    catch = [{"ErrorEquals": ["RoomTaken"], "Output": "{% $parse($states.errorOutput.Cause) %}", "Next": "Caught"}]
    states = {"Invoke": invoke_state(deploy_function(handler), Catch=catch), "Caught": {"Type": "Succeed"}}
    cause = output(states)
    assert (cause["errorType"], cause["errorMessage"]) == ("RoomTaken", "room 7")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (lambda *_: {1, 2}, "Runtime.MarshalError"),
        (lambda *_: sys.exit(1), "Runtime.ExitError"),
        (lambda *_: time.sleep(1.1), "Sandbox.Timedout"),
    ],
)
def test_lambda_reports_errors_outside_the_handler(aws: None, handler: Callable[[Any, Any], Any], error: str) -> None:
    answer, failed = emulator.invoke(deploy_function(handler, timeout=1), {})
    assert (failed, answer["errorType"]) == (True, error)


def test_a_function_without_runs_of_its_own_is_refused_to_states_as_well(aws: None) -> None:
    arn = deploy_function(lambda *_: "ran")
    boto3.client("lambda").put_function_concurrency(FunctionName="booking-echo", ReservedConcurrentExecutions=0)
    assert emulator.invoke(arn, {})[0]["errorType"] == "TooManyRequestsException"
    assert run({"Invoke": invoke_state(arn)})["error"] == "Lambda.TooManyRequestsException"
    boto3.client("lambda").delete_function_concurrency(FunctionName="booking-echo")
    assert emulator.invoke(arn, {}) == ("ran", False)


def test_events_and_results_pass_through_json(aws: None) -> None:
    seen = []

    def handler(event: Any, context: Any) -> Any:
        seen.append(event)
        return {"pair": (1, 2)}

    arn = deploy_function(handler)
    answer, failed = emulator.invoke(arn, {"pair": (1, 2)})
    assert (failed, answer, seen) == (False, {"pair": [1, 2]}, [{"pair": [1, 2]}])


def test_moto_still_returns_a_canned_result(aws: None) -> None:
    original = lambda_invocation.invoke_by_api.original
    assert original(LambdaSimpleBackend("eu-west-1", "1"), "any", None, '{"a":1}', {}, {}) == b'{"a":1}'
