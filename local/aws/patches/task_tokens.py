"""Gaps of moto: SendTaskSuccess and SendTaskFailure may fail or be lost, and a state's retries share one token.

- moto asks every running execution in turn, and fails with AttributeError on one whose worker has no `env` yet.
- A token whose state has moved on is answered with 200 although the answer is lost, and with `InvalidToken` once the
  execution has ended. AWS answers `TaskTimedOut` in both cases.
- Output that is not JSON is accepted.
- All retries of a state share one token. On AWS each attempt has its own.
"""

import json
import threading
from typing import Any

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import InvalidToken
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import Timeout
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    CallbackPoolManager,
)
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from local.aws.patches.aliases_and_versions import unqualified
from local.aws.patches.patching import replaces

# The waiting thread ends before moto's timer does, so that an answer and the timeout cannot both win.
_GRACE_SECONDS = 5

_timer = threading.local()


class TaskTimedOut(AWSError):  # type: ignore[misc]
    TYPE = "TaskTimedOut"
    STATUS = 400


class InvalidOutput(AWSError):  # type: ignore[misc]
    TYPE = "InvalidOutput"
    STATUS = 400


class _TaskTokens:
    """Every token issued since the start: the endpoint that waits for its answer, or None once it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endpoints: dict[str, Any] = {}
        self.machines: dict[str, str] = {}

    def open(self, token: str, endpoint: Any) -> None:
        with self._lock:
            self._endpoints[token] = endpoint

    def answer(self, token: str, outcome: Any) -> None:
        """Raises InvalidToken for a token that was never issued, TaskTimedOut for a closed one."""
        with self._lock:
            if token not in self._endpoints:
                raise InvalidToken("'Invalid token'")
            endpoint = self._endpoints[token]
            if endpoint is None:
                raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
            self._endpoints[token] = None
            endpoint.notify(outcome=outcome)

    def close(self, token: str, endpoint: Any) -> Any:
        """Accept no answer from now on; returns the one that came before, if any."""
        with self._lock:
            self._endpoints[token] = None
            return endpoint.get_outcome()

    def clear(self) -> None:
        with self._lock:
            self._endpoints.clear()
            self.machines.clear()


task_tokens = _TaskTokens()


def machine_of_token(token: str) -> str | None:
    """The ARN of the state machine whose state got the token; None for a token that was never issued."""
    return task_tokens.machines.get(token)


@replaces(CallbackPoolManager, "add")
def add_endpoint(self: Any, callback_id: str) -> Any:
    endpoint = add_endpoint.original(self, callback_id)
    task_tokens.open(callback_id, endpoint)
    return endpoint


@replaces(StepFunctionsParserBackend, "send_task_success")
def send_task_success(_: Any, task_token: str, outcome: str) -> None:
    try:
        json.loads(outcome)
    except ValueError as error:
        raise InvalidOutput("Invalid Output: output is not JSON") from error
    task_tokens.answer(task_token, CallbackOutcomeSuccess(callback_id=task_token, output=outcome))


@replaces(StepFunctionsParserBackend, "send_task_failure")
def _send_task_failure(_: Any, task_token: str, error: str | None = None, cause: str | None = None) -> None:
    outcome = CallbackOutcomeFailure(callback_id=task_token, error=error or "", cause=cause or "")
    task_tokens.answer(task_token, outcome)


@replaces(StateTaskServiceCallback, "_wait_for_task_token_timeout")
def _wait_for_answer(_: Any, timeout_seconds: int, callback_endpoint: Any) -> Any:
    callback_endpoint.wait(timeout=timeout_seconds)
    return task_tokens.close(callback_endpoint.callback_id, callback_endpoint)


@replaces(ExecutionState, "_evaluate_with_timeout")
def _evaluate_with_timeout(self: Any, env: Any) -> None:
    if getattr(getattr(self, "resource", None), "condition", None) != ResourceCondition.WaitForTaskToken:
        _evaluate_with_timeout.original(self, env)
        return
    context = env.states.context_object
    token = context.update_task_token()
    task_tokens.machines[token] = unqualified(context.context_object_data["StateMachine"]["Id"])
    endpoint = env.callback_pool_manager.add(token)
    _timer.grace = _GRACE_SECONDS
    try:
        _evaluate_with_timeout.original(self, env)
    finally:
        _timer.grace = 0
        task_tokens.close(token, endpoint)


@replaces(Timeout, "_eval_body")
def _timeout_with_grace(self: Any, env: Any) -> None:
    env.stack.append(self._eval_seconds(env=env) + getattr(_timer, "grace", 0))
