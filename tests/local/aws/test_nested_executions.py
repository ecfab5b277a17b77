"""State machines that start other state machines."""

import inspect
import json
from typing import Any

from local.aws.patches import nested_executions
from tests.local.aws.machine_runner import create_state_machine, end_of, start


def nested_start(arn: str, resource: str = "startExecution") -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::states:{resource}",
        "Arguments": {"StateMachineArn": arn, "Name": "child", "Input": {"refund_id": "REF-1"}},
        "Catch": [{"ErrorEquals": ["StepFunctions.ExecutionAlreadyExistsException"], "Next": "Exists"}],
        "End": True,
    }


EXISTS = {"Type": "Pass", "Output": "exists", "End": True}


def test_a_state_machine_starts_another_one_only_once(sfn: Any) -> None:
    child = create_state_machine({"Done": {"Type": "Pass", "End": True}}, "child")
    parent = create_state_machine({"Start": nested_start(child), "Exists": EXISTS}, "parent")
    first = json.loads(end_of(start(parent, {}, "first"))["output"])
    assert first["ExecutionArn"] == "arn:aws:states:eu-west-1:123456789012:execution:child:child"
    assert isinstance(first["StartDate"], str)
    assert json.loads(end_of(first["ExecutionArn"])["output"]) == {"refund_id": "REF-1"}
    assert json.loads(end_of(start(parent, {}, "second"))["output"]) == "exists"


def test_a_state_machine_waits_for_another(sfn: Any) -> None:
    child = create_state_machine({"Done": {"Type": "Pass", "End": True}}, "child")
    parent = create_state_machine({"Start": nested_start(child, "startExecution.sync:2"), "Exists": EXISTS}, "parent")
    result = json.loads(end_of(start(parent, {}))["output"])
    assert (result["Status"], result["Output"]) == ("SUCCEEDED", {"refund_id": "REF-1"})


def test_moto_still_passes_parameters_in_upper_case() -> None:
    source = inspect.getsource(nested_executions.normalise_parameters.original)
    assert 'parameters["Input"]' in source
    assert "stateMachineArn" not in source
