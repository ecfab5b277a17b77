"""Gaps of moto: executions that are stopped or time out end late or in the wrong status, without an event.

- A stopped execution whose state waits for a token stays RUNNING until the state's own timeout. Then its Catch finds
  the execution stopped, and it becomes FAILED. AWS ends it at once as ABORTED, with the error and cause of the caller,
  which moto drops.
- A timed-out execution has no ExecutionTimedOut in its history.
- A string as output is returned as it is, where AWS returns JSON.
- An execution is listed before it has a status.
- Threads that have ended are kept, and with them their stacks: a machine runs out of both after 3,500 executions.
- Status-change events are not sent. Those of a state machine with a customer's key have no data, as on AWS.
"""

import json
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.parser.api import (
    ExecutionAbortedEventDetails,
    ExecutionStatus,
    ExecutionTimedOutEventDetails,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.utils import TMP_THREADS
from moto.stepfunctions.responses import StepFunctionResponse

from local.aws.aws_account import ACCOUNT, REGION, on_execution_closed
from local.aws.patches.patching import replace, replaces
from local.aws.patches.task_tokens import task_tokens

_status_lock = threading.RLock()
_threads_lock = threading.Lock()


@replaces(Execution, "stop")
def _stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
    while self.exec_worker.env is None:
        time.sleep(0.01)
    with _status_lock:
        if self.exec_status != ExecutionStatus.RUNNING:
            return
        env = self.exec_worker.env
        env.set_stop(stop_date=stop_date, cause=cause, error=error)
        details = ExecutionAbortedEventDetails(error=error, cause=cause)
        _add_event(env, HistoryEventType.ExecutionAborted, EventDetails(executionAbortedEventDetails=details))
        _close(self)
        self.stop_date, self.error, self.cause = stop_date, error or None, cause or None
        self.exec_status = ExecutionStatus.ABORTED
    _send_status_change(self)


@replaces(StepFunctionResponse, "stop_execution")
def stop_by_api(self: Any) -> Any:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


@replaces(BaseExecutionWorkerCommunication, "_reflect_execution_status")
def _reflect_status(self: Any) -> None:
    execution = self.execution
    with _status_lock:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        env = execution.exec_worker.env
        _reflect_status.original(self)
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            execution.output = json.dumps(execution.output)
        if execution.exec_status == ExecutionStatus.TIMED_OUT:
            details = EventDetails(executionTimedOutEventDetails=ExecutionTimedOutEventDetails())
            _add_event(env, HistoryEventType.ExecutionTimedOut, details)
        _close(execution)
    _forget_ended_threads()
    _send_status_change(execution)


def _forget_ended_threads() -> None:
    with _threads_lock:
        for thread in [one for one in TMP_THREADS if one.ident is not None and not one.is_alive()]:
            TMP_THREADS.remove(thread)


def _status(self: Any) -> str:
    return str((self.exec_status or ExecutionStatus.RUNNING).value)


replace(Execution, "status", property(_status))


def _add_event(env: Any, event_type: HistoryEventType, details: EventDetails) -> None:
    env.event_manager.add_event(context=env.event_history_context, event_type=event_type, event_details=details)


def _close(execution: Any) -> None:
    """Complete the history and end every wait: the threads of the execution run out of work and end."""
    env = execution.exec_worker.env
    env.event_manager.add_event = lambda *_, **__: 0
    for token, endpoint in list(env.callback_pool_manager._pool.items()):
        task_tokens.close(token, endpoint)
        endpoint.interrupt_all()


def _event_data(execution: Any) -> dict[str, Any]:
    names = ("input", "output", "error", "cause")
    if execution.state_machine.encryptionConfiguration["type"] == "CUSTOMER_MANAGED_KMS_KEY":
        return {**dict.fromkeys(names), "inputDetails": {"included": False}, "outputDetails": None}
    values = (json.dumps(execution.input_data), None, execution.error, execution.cause)
    return {**dict(zip(names, values, strict=True)), "inputDetails": {"included": True}, "outputDetails": None}


def _send_status_change(execution: Any) -> None:
    if execution.exec_status == ExecutionStatus.SUCCEEDED:
        return
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [execution.exec_arn],
        "detail": {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": int(execution.start_date.timestamp() * 1000),
            "stopDate": int(execution.stop_date.timestamp() * 1000),
            **_event_data(execution),
        },
    }
    for listener in on_execution_closed:
        listener(event)
