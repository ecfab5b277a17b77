"""What a Catch catches."""

import inspect
import json
import types
from typing import Any

import boto3
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType

from local.aws import emulator
from local.aws.patches import error_names
from tests.harness.tables import in_table
from tests.local.aws.machine_runner import ROLE, end_of, output, start


def test_states_all_does_not_catch_states_runtime(aws: None) -> None:
    invoke = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "echo", "Payload.$": "$.missing"},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    definition = {"StartAt": "Invoke", "States": {"Invoke": invoke, "Caught": {"Type": "Succeed"}}}
    sfn = boto3.client("stepfunctions")
    arn = sfn.create_state_machine(name="path", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    result = end_of(start(arn, {}))
    assert (result["status"], result["error"]) == ("FAILED", "States.Runtime")


@in_table()
def test_an_error_of_a_service_is_caught_by_its_name(
    aws: None, resource: str, operation: str, arguments: dict[str, Any], error: str
) -> None:
    emulator.aws_faults.add(operation, "internal_error")
    publish = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments,
        "Catch": [{"ErrorEquals": [error], "Output": "{% $states.errorOutput.Error %}", "Next": "Caught"}],
        "End": True,
    }
    assert output({"Publish": publish, "Caught": {"Type": "Succeed"}}) == error


def test_moto_still_lets_states_all_catch_states_runtime() -> None:
    runtime = StatesErrorName(typ=StatesErrorNameType.StatesRuntime)
    env = types.SimpleNamespace(stack=[runtime])
    error_names.error_equals.original(ErrorEqualsDecl([ErrorEqualsDecl._STATE_ALL_ERROR]), env)
    assert env.stack == [True]


def test_moto_still_reports_errors_of_eventbridge_as_states_runtime() -> None:
    assert "ClientError" not in inspect.getsource(error_names.events_error.original)
