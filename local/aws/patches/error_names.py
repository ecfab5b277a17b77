"""Gaps of moto: States.ALL catches too much, and errors of EventBridge cannot be caught.

- States.ALL catches States.Runtime and States.DataLimitExceeded, which AWS does not let it catch.
- Every error of EventBridge is a States.Runtime. AWS names it after the error, as in `EventBridge.InternalException`.
"""

from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_events import (
    StateTaskServiceEvents,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from local.aws.patches.patching import replaces


@replaces(ErrorEqualsDecl, "_eval_body")
def error_equals(self: Any, env: Any) -> None:
    if (
        env.stack[-1].error_name in ("States.Runtime", "States.DataLimitExceeded")
        and ErrorEqualsDecl._STATE_ALL_ERROR in self.error_names
    ):
        env.stack.pop()
        env.stack.append(False)
        return
    error_equals.original(self, env)


@replaces(StateTaskServiceEvents, "_from_error")
def events_error(self: Any, env: Any, ex: Exception) -> Any:
    if not isinstance(ex, ClientError):
        return events_error.original(self, env, ex)
    error = f"EventBridge.{ex.response['Error']['Code'].removesuffix('Exception')}Exception"
    details = TaskFailedEventDetails(
        error=error, cause=str(ex), resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type()
    )
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error_name=error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )
