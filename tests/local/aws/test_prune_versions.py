"""`make prune-versions`: which versions of functions are deleted."""

import json
from typing import Any

import boto3
import pytest

from scripts.prune_versions import prune
from tests.local.aws.machine_runner import AWAIT, create_state_machine, deploy_function, start, stored_token

FUNCTION = "booking-echo"

pytestmark = pytest.mark.defect("A-11")


class Deployments:
    """Deployments of a function and of a workflow that calls it, each with a version of both; the first is made."""

    def __init__(self, sfn: Any) -> None:
        self._sfn, self._lambda = sfn, boto3.client("lambda")
        self.function = deploy_function(lambda event, _: event)
        self.machine = create_state_machine(self._states(1), name="payment")
        refund = create_state_machine({"Done": {"Type": "Pass", "End": True}}, name="refund")
        for machine in (self.machine, refund):
            sfn.create_state_machine_alias(name="live", routingConfiguration=self._route(machine, 1))
        self.outputs = {
            "operatorTopicArn": "arn:aws:sns:eu-west-1:123456789012:operators",
            "paymentStateMachineArn": self.machine,
            "refundStateMachineArn": refund,
        }

    def add(self, version: int) -> None:
        self._lambda.update_function_configuration(FunctionName=FUNCTION, Timeout=version)
        assert self._lambda.publish_version(FunctionName=FUNCTION)["Version"] == str(version)
        definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "Await", "States": self._states(version)})
        self._sfn.update_state_machine(stateMachineArn=self.machine, definition=definition, publish=True)
        self._sfn.update_state_machine_alias(
            stateMachineAliasArn=f"{self.machine}:live", routingConfiguration=self._route(self.machine, version)
        )

    def point_alias_to(self, version: int) -> None:
        self._lambda.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion=str(version))

    def prune(self) -> list[str]:
        return [version.removeprefix(f"{FUNCTION}:") for version in prune(self.outputs, [FUNCTION])]

    def _states(self, version: int) -> dict[str, Any]:
        waiting = {key: value for key, value in AWAIT.items() if key != "End"} | {"Next": "Echo"}
        return {"Await": waiting, "Echo": {"Type": "Task", "Resource": f"{self.function}:{version}", "End": True}}

    @staticmethod
    def _route(machine: str, version: int) -> list[dict[str, Any]]:
        return [{"stateMachineVersionArn": f"{machine}:{version}", "weight": 100}]


def test_versions_that_a_running_execution_or_an_alias_needs_are_kept(sfn: Any, dynamodb: Any) -> None:
    deployments = Deployments(sfn)
    running = [start(f"{deployments.machine}:live", {}, "first")]
    deployments.add(2)
    deployments.add(3)
    running.append(start(deployments.machine, {}, "by-hand"))
    for version in (4, 5, 6):
        deployments.add(version)
    deployments.point_alias_to(5)
    for name in ("first", "by-hand"):
        stored_token(dynamodb, name)
    assert deployments.prune() == ["2", "4"]
    assert deployments.prune() == []
    for execution in running:
        sfn.stop_execution(executionArn=execution)
    assert deployments.prune() == ["1", "3"]


def test_the_newest_version_is_kept_before_anything_names_it(sfn: Any) -> None:
    deployments = Deployments(sfn)
    functions = boto3.client("lambda")
    for timeout in (7, 8):
        functions.update_function_configuration(FunctionName=FUNCTION, Timeout=timeout)
        functions.publish_version(FunctionName=FUNCTION)
    assert deployments.prune() == ["2"]
