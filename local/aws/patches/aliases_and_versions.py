"""Gaps of moto: executions cannot be started by the ARN of a version or alias, and one name may start two.

- `start_execution` fails for a qualified ARN. moto knows a version only as an ARN, and an alias not at all.
- It checks the name before it adds the execution, so that two concurrent requests start two executions.
- It publishes a version again although nothing has changed.
- A list of executions does not say with which version each was started, and the machine of an execution is described
  as it is now.
"""

import copy
import json
import threading
import uuid
from typing import Any

from moto.stepfunctions.models import StateMachine
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from local.aws.patches.patching import replaces

_start_lock = threading.Lock()


def unqualified(arn: str) -> str:
    """The state machine's own ARN for that of a version or alias (`…:stateMachine:name[:qualifier]`)."""
    return ":".join(arn.split(":")[:7])


@replaces(StepFunctionsParserBackend, "start_execution")
def _start_execution(
    self: Any, state_machine_arn: str, name: str | None = None, execution_input: Any = None, trace_header: Any = None
) -> Any:
    name = name or str(uuid.uuid4())
    self._validate_name(name)
    with _start_lock:
        return _start_execution.original(self, state_machine_arn, name, execution_input, trace_header)


@replaces(StepFunctionResponse, "get_execution_history")
def _execution_history(self: Any) -> str:
    # moto lists an execution before it has started, and has no history to serialize until then. The events are JSON
    # already: moto's walk through the service's description for each of them is slow.
    with _start_lock:
        history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
    return json.dumps(history)


@replaces(StateMachine, "publish")
def _publish(self: Any, description: str | None) -> None:
    if (last := self.latest_version) and (last.definition, last.roleArn) == (self.definition, self.roleArn):
        return
    _publish.original(self, description)


@replaces(StepFunctionsParserBackend, "describe_state_machine")
def describe_state_machine(self: Any, arn: str) -> Any:
    """The machine; for a version or alias, as that version was published."""
    machine = describe_state_machine.original(self, unqualified(arn))
    qualifier = arn.removeprefix(machine.arn).removeprefix(":")
    if qualifier in machine.aliases:
        route = machine.aliases[qualifier].routing_configuration[0]
        qualifier = route["stateMachineVersionArn"].rpartition(":")[2]
    if not qualifier.isdigit():
        return machine
    published = copy.copy(machine)
    version = machine.versions[int(qualifier)]
    published.definition, published.roleArn, published.version_arn = version.definition, version.roleArn, version.arn
    return published


@replaces(StepFunctionResponse, "list_executions")
def _list_executions(self: Any) -> Any:
    answer = _list_executions.original(self)
    for listed in answer.result["executions"]:
        machine = self.stepfunction_backend.describe_execution(listed["executionArn"]).state_machine
        if version := getattr(machine, "version_arn", None):
            listed["stateMachineVersionArn"] = version
    return answer


@replaces(StepFunctionResponse, "describe_state_machine_for_execution")
def _describe_for_execution(self: Any) -> Any:
    answer = _describe_for_execution.original(self)
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    answer.result["definition"] = execution.state_machine.definition
    return answer
