"""The executions of both workflows, as `/local/executions` shows them."""

import itertools
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from local.aws.clients import local_client
from shared.adapters.step_functions import execution_name, payment_execution_name

type Json = dict[str, Any]
type Workflow = Literal["payment", "refund"]


@dataclass(frozen=True)
class Execution:
    """What an execution has done so far.

    `transitions`: the number of state transitions that AWS would bill. `waiting_in`: the state in which it waits for a
    callback or a timer.
    """

    status: str
    visited: list[str]
    transitions: int
    waiting_in: str | None = None
    error: str | None = None
    cause: str | None = None
    output: str | None = None

    @classmethod
    def from_history(cls, described: Json, history: list[Json]) -> Self:
        entered = [event for event in history if event["type"].endswith("StateEntered")]
        visited = [event["stateEnteredEventDetails"]["name"] for event in entered]
        # Each retry is scheduled again without entering the state again, and is billed as a transition too.
        tasks = sum(event["type"] == "TaskStateEntered" for event in entered)
        retries = max(0, sum(event["type"] == "TaskScheduled" for event in history) - tasks)
        waiting = bool(history) and history[-1]["type"] in ("TaskSubmitted", "WaitStateEntered")
        return cls(
            status=described["status"],
            visited=visited,
            transitions=len(entered) + retries,
            waiting_in=visited[-1] if waiting else None,
            error=described.get("error"),
            cause=described.get("cause"),
            output=described.get("output"),
        )

    def as_json(self) -> Json:
        """Without the fields that have no value."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class ExecutionsAdmin:
    """Reads and stops executions; `outputs` are the deployed stack's."""

    def __init__(self, outputs: Json) -> None:
        self.outputs = outputs
        self._step_functions = local_client("stepfunctions")

    def executions(self, workflow: Workflow) -> list[Json]:
        """All executions of the workflow, oldest first."""
        paginator = self._step_functions.get_paginator("list_executions")
        pages = paginator.paginate(stateMachineArn=self._state_machine(workflow))
        executions = [execution for page in pages for execution in page["executions"]]
        return [
            {"name": execution["name"], "status": execution["status"], "started_at": execution["startDate"].isoformat()}
            for execution in sorted(executions, key=lambda execution: execution["startDate"])
        ]

    def execution(self, name: str, workflow: Workflow = "payment") -> Execution:
        """Raises LookupError."""
        client, arn = self._step_functions, self._execution_arn(name, workflow)
        try:
            described: Any = client.describe_execution(executionArn=arn)
            history: Any = client.get_execution_history(executionArn=arn, includeExecutionData=False)
        except client.exceptions.ExecutionDoesNotExist:
            raise LookupError(f"no execution {name} of the {workflow} workflow") from None
        return Execution.from_history(described, history["events"])

    def replacement(self, name: str, workflow: Workflow = "payment") -> tuple[str, Execution] | None:
        """The newest execution that the reconciler started in place of this one, with its name."""
        newest, name_of = None, payment_execution_name if workflow == "payment" else execution_name
        for restart in itertools.count(1):
            replacement = name_of(name, restart)
            try:
                newest = replacement, self.execution(replacement, workflow)
            except LookupError:
                break
        return newest

    def stop_execution(self, name: str, workflow: Workflow = "payment") -> None:
        """Raises LookupError."""
        self.execution(name, workflow)
        arn = self._execution_arn(name, workflow)
        self._step_functions.stop_execution(executionArn=arn, error="Stopped", cause="stopped through /local")

    def _state_machine(self, workflow: Workflow) -> str:
        arn: str | None = self.outputs.get(f"{workflow}StateMachineArn")
        if arn is None:
            raise LookupError(f"no {workflow} workflow is deployed")
        return arn

    def _execution_arn(self, name: str, workflow: Workflow) -> str:
        return f"{self._state_machine(workflow).replace(':stateMachine:', ':execution:')}:{name}"
