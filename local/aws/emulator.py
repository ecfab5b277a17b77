"""The AWS of the local stack: moto, with its gaps closed.

moto's hooks are private, so all of them are here and nowhere else. Every gap says what moto does and what AWS does, and
has a test in tests/engine that fails once moto closes it. The pin of moto in pyproject.toml is exact for that reason.
"""

import contextvars
import copy
import functools
import importlib
import io
import json
import logging
import os
import socket
import sys
import threading
import time
import traceback
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import boto3
import jsonata
import moto.awslambda_simple.models as lambda_models
import moto.core.models as core_models
import moto.dynamodb.models as dynamodb_models
import moto.dynamodb.responses as dynamodb_responses
import moto.events.models as events_models
import moto.stepfunctions.models as machine_models
import moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl as error_equals
import moto.stepfunctions.parser.asl.component.common.timeouts.timeout as timeouts
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource as resources
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service as tasks
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback as callbacks
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_events as put_events
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn as nested
import moto.stepfunctions.parser.asl.component.state.wait.wait_function.seconds as wait_seconds
import moto.stepfunctions.parser.asl.eval.callback.callback as callback_pool
import moto.stepfunctions.parser.asl.jsonata.jsonata as moto_jsonata
import moto.stepfunctions.parser.backend.execution as executions
import moto.stepfunctions.parser.models as interpreter
import moto.stepfunctions.parser.utils as interpreter_utils
import moto.stepfunctions.responses as machine_responses
from aws_lambda_powertools.event_handler import api_gateway
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from jsonata.utils import Utils as JsonataUtils
from moto import backend_index, mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.core.config import DefaultConfig, default_user_config
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.dynamodb.models.utilities import dynamo_json_dump
from moto.stepfunctions.exceptions import InvalidToken
from moto.stepfunctions.parser.api import (
    EvaluationFailedEventDetails,
    ExecutionAbortedEventDetails,
    ExecutionStatus,
    ExecutionTimedOutEventDetails,
    HistoryEventType,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component import eval_component
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.intrinsic.jsonata import get_intrinsic_functions_declarations
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.parse import asl_parser

from local import credentials
from local.aws import archives
from local.aws.aws_faults import STATES, AwsFaults
from local.aws.aws_faults import answer as fault_answer

REGION = "eu-west-1"
ACCOUNT = core_models.DEFAULT_ACCOUNT_ID
SERVICES = ("dynamodb", "stepfunctions", "lambda", "events", "ssm", "sns")
CONFIG: DefaultConfig = {
    "lambda": {"use_docker": False},
    "stepfunctions": {"execute_state_machine": True},
    # With a new session every client would read its service's description anew: seconds at each start.
    "core": {**default_user_config["core"], "reset_boto3_session": False},
}

WAIT_FOR_TASK_TOKEN = resources.ResourceCondition.WaitForTaskToken

# The module of lambdas/ whose function is running in this thread, if any.
current_function: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_function", default=None)

# Who calls when the local stack itself does, inside a function or not: no faults and no permissions are its.
LOCAL = "local"

aws_faults = AwsFaults()

# Asked before each call of a function (its module) or a state machine (its name): how AWS refuses it, if it does.
access: list[Callable[[str, str, Any], tuple[int, dict[str, str], str] | None]] = []


class Counts:
    """What has been called since the start: AWS operations by (caller, operation); seconds of each Lambda call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.functions: defaultdict[str, list[float]] = defaultdict(list)
        self.operations: Counter[tuple[str | None, str]] = Counter()

    def function(self, name: str, seconds: float) -> None:
        with self._lock:
            self.functions[name].append(seconds)

    def operation(self, caller: str | None, operation: str) -> None:
        with self._lock:
            self.operations[caller, operation] += 1

    def clear(self) -> None:
        with self._lock:
            self.functions.clear()
            self.operations.clear()


counts = Counts()


@dataclass(frozen=True)
class Announced:
    """One event put on a bus."""

    bus: str
    source: str
    detail_type: str
    detail: dict[str, Any]
    at: str


published: list[Announced] = []

# Called with the event that EventBridge would deliver whenever an execution ends otherwise than well.
on_execution_closed: list[Callable[[dict[str, Any]], None]] = []


# ---------------------------------------------------------------------------------------------- gaps 1 and 2: JSONata


def _to_jsonata(value: Any) -> Any:
    """A copy with JSON's null as the evaluator knows it; Python's None is its "nothing there"."""
    if value is None:
        return JsonataUtils.NULL_VALUE
    if isinstance(value, dict):
        return {key: _to_jsonata(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_jsonata(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is JsonataUtils.NULL_VALUE or isinstance(value, str | int | float)


def _query_failed(env: Any, cause: str) -> FailureEventException:
    error = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details = EvaluationFailedEventDetails(error=error.error_name, cause=cause)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(evaluationFailedEventDetails=details),
        )
    )


@functools.lru_cache(maxsize=1024)
def _parse_jsonata(text: str) -> jsonata.Jsonata:
    expression = jsonata.Jsonata(text)
    expression.set_output_convert_nulls(False)
    return expression


def _compile(text: str) -> jsonata.Jsonata:
    """The expression for one evaluation in this thread; the parsed text is shared, what evaluating changes is not."""
    expression = copy.copy(_parse_jsonata(text))
    expression.environment = expression.create_frame(jsonata.Jsonata.static_frame)
    jsonata.Jsonata.CURRENT.jsonata = expression
    return expression


def evaluate_jsonata(text: str, bindings: Mapping[str, Any]) -> Any:
    """What the expression makes of the variables. Raises ValueError for nothing or no JSON, else what it raises."""
    result = _compile(text).evaluate(None, {name: _to_jsonata(value) for name, value in bindings.items()})
    if result is None:
        raise ValueError("returned nothing (undefined).")
    if isinstance(result, list | tuple):
        result = list(result)
    if not _is_json(result):
        raise ValueError("returned an unsupported result type.")
    return JsonataUtils.convert_nulls(result)


def _evaluate_jsonata(self: Any, env: Any) -> None:
    # Gap 1: moto has no evaluator (`_eval_jsonata` is None). Gap 2: it hands variables over as text in front of the
    # expression, and a string with " or \ in it breaks that text. Here they are bound as values, which is also forty
    # times as fast, since nothing but the expression is parsed.
    references = moto_jsonata.extract_jsonata_variable_references(self.expression)
    functions = get_intrinsic_functions_declarations(variable_references=references)
    variables = env.variable_store
    bindings = {**variables._outer_scope, **variables._inner_scope, "states": env.states._states_data}
    try:
        value = evaluate_jsonata(f"({functions}{self.expression})" if functions else self.expression, bindings)
    except Exception as error:
        raise _query_failed(env, f"The JSONata expression '{self.expression}' failed: {error}") from error
    env.stack.append(value)


def _whole_seconds(self: Any, env: Any, least: int) -> int:
    # moto cuts fractions off and takes 0 for a timeout; AWS refuses both.
    self.string_jsonata.eval(env=env)
    seconds = env.stack.pop()
    if isinstance(seconds, float) and seconds.is_integer():
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < least:
        raise _query_failed(env, f"The JSONata expression must give a whole number of seconds >= {least}: {seconds}")
    return seconds


# ------------------------------------------------------------------------------------- gap 3: states:startExecution


def _nested_parameters(self: Any, parameters: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    # Gap 3: ASL writes `StateMachineArn`, the API is called with `stateMachineArn` and answers `executionArn` and a
    # datetime, and the state's result has `ExecutionArn` and text. moto converts none of it.
    _original["StateTaskServiceSfn._normalise_parameters"](self, parameters, *args, **kwargs)
    for name in list(parameters):
        parameters[name[0].lower() + name[1:]] = parameters.pop(name)


def _nested_response(_self: Any, response: Any, *_: Any, **__: Any) -> None:
    if isinstance(response, dict):
        for name in list(response):
            value = response.pop(name)
            value = value.isoformat() if isinstance(value, datetime) else value
            response[name[0].upper() + name[1:]] = value


# ---------------------------------------------------------------------------------------- gaps 4 and 8: task tokens


class TaskTimedOut(AWSError):  # type: ignore[misc]
    TYPE = "TaskTimedOut"
    STATUS = 400


class InvalidOutput(AWSError):  # type: ignore[misc]
    TYPE = "InvalidOutput"
    STATUS = 400


class _Tokens:
    """Every task token ever given out: to the endpoint that waits on it, or to None once it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endpoints: dict[str, Any] = {}
        self.machines: dict[str, str] = {}

    def open(self, token: str, endpoint: Any) -> None:
        with self._lock:
            self._endpoints[token] = endpoint

    def answer(self, token: str, outcome: Any) -> None:
        with self._lock:
            if token not in self._endpoints:
                raise InvalidToken("'Invalid token'")
            endpoint = self._endpoints[token]
            if endpoint is None:
                raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
            self._endpoints[token] = None
            endpoint.notify(outcome=outcome)

    def close(self, token: str, endpoint: Any) -> Any:
        """Nobody can answer from here on; gives the answer that came before, if one did."""
        with self._lock:
            self._endpoints[token] = None
            return endpoint.get_outcome()

    def clear(self) -> None:
        with self._lock:
            self._endpoints.clear()
            self.machines.clear()


_tokens = _Tokens()


def machine_of_token(token: str) -> str | None:
    """The ARN of the state machine whose state got the token; None for what never was one."""
    return _tokens.machines.get(token)


_timer = threading.local()
# The waiting thread ends first, so that an answer and the deadline cannot both win.
_GRACE_SECONDS = 5


def _add_endpoint(self: Any, callback_id: str) -> Any:
    endpoint = _original["CallbackPoolManager.add"](self, callback_id)
    _tokens.open(callback_id, endpoint)
    return endpoint


def _send_task_success(_: Any, task_token: str, outcome: str) -> None:
    # Gap 4: moto asks every running execution in turn and falls over one whose worker has no `env` yet. Gap 8: it
    # answers 200 to a token whose state has moved on (the answer is lost), `InvalidToken` once the execution has ended.
    try:
        json.loads(outcome)
    except ValueError as error:
        raise InvalidOutput("Invalid Output: output is not JSON") from error
    _tokens.answer(task_token, callback_pool.CallbackOutcomeSuccess(callback_id=task_token, output=outcome))


def _send_task_failure(_: Any, task_token: str, error: str | None = None, cause: str | None = None) -> None:
    _tokens.answer(
        task_token, callback_pool.CallbackOutcomeFailure(callback_id=task_token, error=error or "", cause=cause or "")
    )


def _wait_for_answer(_: Any, timeout_seconds: int, callback_endpoint: Any) -> Any:
    callback_endpoint.wait(timeout=timeout_seconds)
    return _tokens.close(callback_endpoint.callback_id, callback_endpoint)


def _evaluate_with_timeout(self: Any, env: Any) -> None:
    if getattr(getattr(self, "resource", None), "condition", None) != WAIT_FOR_TASK_TOKEN:
        _original["ExecutionState._evaluate_with_timeout"](self, env)
        return
    # moto keeps one token for all retries of a state; on AWS every try has its own.
    token = env.states.context_object.update_task_token()
    _tokens.machines[token] = _machine(env.states.context_object.context_object_data["StateMachine"]["Id"])
    endpoint = env.callback_pool_manager.add(token)
    _timer.grace = _GRACE_SECONDS
    try:
        _original["ExecutionState._evaluate_with_timeout"](self, env)
    finally:
        _timer.grace = 0
        _tokens.close(token, endpoint)


def _timeout_seconds(self: Any, env: Any) -> None:
    env.stack.append(self._eval_seconds(env=env) + getattr(_timer, "grace", 0))


# ------------------------------------------------------------------------------------------------------ gap 5: Lambda


class LambdaContext:
    """What a handler is given besides the event."""

    def __init__(self, function: Any) -> None:
        self.function_name: str = function.function_name
        self.function_version: str = str(function.version)
        self.invoked_function_arn: str = function.function_arn
        self.memory_limit_in_mb: int = function.memory_size
        self.aws_request_id: str = str(uuid.uuid4())
        self.log_group_name: str = f"/aws/lambda/{function.function_name}"
        self.log_stream_name: str = "local"
        self.timeout_seconds: int = int(function.timeout)
        self._started = time.monotonic()

    @property
    def overrun(self) -> bool:
        return time.monotonic() - self._started > self.timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._started + self.timeout_seconds - time.monotonic()) * 1000))


class _FunctionOutput(io.TextIOBase):
    """Stands in for sys.stdout: what functions print (JSON logs, metrics) goes to the log, all else to the screen."""

    def __init__(self) -> None:
        self.screen: TextIO = sys.stdout
        self.log: TextIO | None = None
        self._attached: set[str] = set()
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        if self.log is None or current_function.get() is None:
            return self.screen.write(text)
        with self._lock:
            return self.log.write(text)

    def flush(self) -> None:
        if not self.screen.closed:
            self.screen.flush()

    def attach(self, module: str = "") -> None:
        """Takes the place of sys.stdout; pytest, for one, puts another in place now and then."""
        if self.log is None or (sys.stdout is self and module in self._attached):
            return
        self._attached.add(module)
        if sys.stdout is not self:
            self.screen = sys.stdout
            sys.stdout = self
        for logger in list(logging.Logger.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", []):
                # Powertools takes the sys.stdout there was at import.
                if type(handler.formatter).__name__ == "LambdaPowertoolsFormatter" and handler.stream is not self:
                    handler.setStream(self)

    def release(self) -> None:
        if sys.stdout is self:
            sys.stdout = self.screen
        if self.log is not None:
            self.log.close()
            self.log = None
            self._attached.clear()


_output = _FunctionOutput()


def log_functions_to(path: Path) -> None:
    """From now on everything that functions print goes to this file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _output.log = path.open("a", buffering=1, encoding="utf-8")
    _output.attach()


def _error(error_type: str, message: str, trace: list[str] | None = None) -> tuple[bytes, bool]:
    body = {"errorMessage": message, "errorType": error_type, "requestId": str(uuid.uuid4()), "stackTrace": trace or []}
    return json.dumps(body).encode(), True


def _module_of(function: Any, name: str) -> ModuleType:
    """Of the archive that this version was published with, or of the working tree where it was sent for that."""
    if function.code_bytes == archives.WORKING_TREE:
        return importlib.import_module(name)
    return archives.module(function.code_bytes, function.environment_vars, name)


def _run_handler(function: Any, body: str | bytes) -> tuple[bytes, bool]:
    """The answer's bytes, and whether it is an error, as Lambda gives them."""
    module_name, _, handler_name = function.handler.rpartition(".")
    name = module_name.rpartition(".")[2]
    token = current_function.set(name)
    began = time.perf_counter()
    try:
        try:
            module = _module_of(function, module_name)
            handler = getattr(module, handler_name)
        except (ImportError, AttributeError) as error:
            return _error("Runtime.ImportModuleError", str(error))
        _output.attach(module.__name__)
        context = LambdaContext(function)
        try:
            answer = handler(json.loads(body or "{}"), context)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its answer
            return _error(type(error).__name__, str(error), traceback.format_tb(error.__traceback__))
        except SystemExit as error:
            return _error("Runtime.ExitError", f"RequestId: {context.aws_request_id} Error: Runtime exited: {error}")
        if context.overrun:
            # The function did its work, but nobody was there any more to hear of it.
            message = (
                f"RequestId: {context.aws_request_id} Error: Task timed out after {context.timeout_seconds} seconds"
            )
            return _error("Sandbox.Timedout", message)
        try:
            return json.dumps(answer).encode(), False
        except (TypeError, ValueError) as error:
            return _error("Runtime.MarshalError", f"Unable to marshal response: {error}")
    finally:
        counts.function(name, time.perf_counter() - began)
        current_function.reset(token)


def _invoke(
    self: Any, function_name: str, qualifier: str | None, body: Any, _: Any, response_headers: dict[str, str]
) -> bytes:
    # Gap 5: moto runs functions in Docker, or answers something canned.
    answer, failed = _run_handler(self.get_function(function_name, qualifier), body)
    if failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    return answer


def invoke(function_arn: str, event: Mapping[str, Any]) -> tuple[Any, bool]:
    """Calls a deployed function (by name, ARN, version or alias): its answer, and whether it is an error."""
    function = lambda_models.lambda_simple_backends[ACCOUNT][REGION].get_function(function_arn)
    answer, failed = _run_handler(function, json.dumps(event))
    return json.loads(answer), failed


# ---------------------------------------------------------------------------------------------------- gap 6: DynamoDB

_dynamodb_lock = threading.RLock()


def _dynamodb_request(self: Any) -> Any:
    # Gap 6: moto's DynamoDB has no lock at all. A failed transaction puts back a copy of whole tables and so undoes
    # what others wrote meanwhile, a new item is visible before its attributes, iteration breaks. One request at a time,
    # from reading the parameters to writing the answer, mends all of it.
    with _dynamodb_lock:
        return _original["DynamoHandler.call_action"](self)


def _transact(self: Any, transact_items: list[dict[str, Any]]) -> Any:
    # moto copies every table that a transaction names, with all its items, to put the copy back should it fail; a
    # thousand bookings make that a second. The items named are enough: under the lock nobody touches others meanwhile.
    before = []
    for item in transact_items:
        ((_, operation),) = item.items()
        table = self.get_table(operation["TableName"])
        key = (operation.get("Item") or operation["Key"])[table.hash_key_attr]
        before.append((table, dynamodb_models.DynamoType(key)))
    kept = [(table, key, copy.deepcopy(table.items.get(key))) for table, key in before]
    try:
        return _original["DynamoDBBackend.transact_write_items"](self, transact_items)
    except Exception:
        for table, key, item in kept:
            if item is None:
                table.items.pop(key, None)
            else:
                table.items[key] = item
        raise


class _CopyButTables:
    """The module `copy` as moto's DynamoDB sees it, without the copies of whole tables."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        return value if isinstance(value, dynamodb_models.Table) else copy.deepcopy(value)


def _serialize_items(self: Any, _: Any) -> Any:
    # moto walks through the service's description for every attribute of every item; what it has is JSON already.
    result = {name: value for name, value in self._result.items() if value is not None}
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": str(uuid.uuid4())}
    return 200, headers, dynamo_json_dump(result)


_start_lock = threading.Lock()


def _serialize_history(self: Any) -> str:
    # The same for the events of an execution; asked for between its being listed and its start, moto fails.
    with _start_lock:
        history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
    return json.dumps(history)


# -------------------------------------------------------------------------------------- gap 7: aliases and versions


def _machine(arn: str) -> str:
    """The state machine's own ARN, of that of a version or alias: `…:stateMachine:name[:qualifier]`."""
    return ":".join(arn.split(":")[:7])


def _start_execution(
    self: Any, state_machine_arn: str, name: str | None = None, execution_input: Any = None, trace_header: Any = None
) -> Any:
    # Gap 7: started by the ARN of a version or alias, moto fails. It also looks for the name and then adds the
    # execution, so that two requests at once start two.
    name = name or str(uuid.uuid4())
    self._validate_name(name)
    with _start_lock:
        return _original["StepFunctionsParserBackend.start_execution"](
            self, state_machine_arn, name, execution_input, trace_header
        )


def _publish(self: Any, description: str | None) -> None:
    # moto publishes what it has published already once more.
    if (last := self.latest_version) and (last.definition, last.roleArn) == (self.definition, self.roleArn):
        return
    _original["StateMachine.publish"](self, description)


def _describe_machine(self: Any, arn: str) -> Any:
    # moto knows a version only as an ARN, and an alias not at all: both are the machine, as that version was published.
    machine = _original["StepFunctionsParserBackend.describe_state_machine"](self, _machine(arn))
    qualifier = arn.removeprefix(machine.arn).removeprefix(":")
    if qualifier in machine.aliases:
        route = machine.aliases[qualifier].routing_configuration[0]
        qualifier = route["stateMachineVersionArn"].rpartition(":")[2]
    if not qualifier.isdigit():
        return machine
    published = copy.copy(machine)
    version = machine.versions[int(qualifier)]
    published.definition, published.roleArn = version.definition, version.roleArn
    return published


# ---------------------------------------------------------------- executions that end otherwise than by themselves

_status_lock = threading.RLock()


def _close(execution: Any) -> None:
    """Nothing is added to the history any more, and nobody waits: the threads run out of work and end."""
    env = execution.exec_worker.env
    env.event_manager.add_event = lambda *_, **__: 0
    for token, endpoint in list(env.callback_pool_manager._pool.items()):
        _tokens.close(token, endpoint)
        endpoint.interrupt_all()


def _stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
    # moto marks the execution, but a state that waits for a token goes on waiting, and its execution RUNNING, until its
    # own timeout; then its Catch runs into the mark, and the execution becomes FAILED. AWS stops it at once.
    while self.exec_worker.env is None:
        time.sleep(0.01)
    with _status_lock:
        if self.exec_status != ExecutionStatus.RUNNING:
            return
        env = self.exec_worker.env
        env.set_stop(stop_date=stop_date, cause=cause, error=error)
        details = ExecutionAbortedEventDetails(error=error, cause=cause)
        env.event_manager.add_event(
            context=env.event_history_context,
            event_type=HistoryEventType.ExecutionAborted,
            event_details=EventDetails(executionAbortedEventDetails=details),
        )
        _close(self)
        self.stop_date, self.error, self.cause = stop_date, error or None, cause or None
        self.exec_status = ExecutionStatus.ABORTED
    _tell_closed(self)


def _stop_request(self: Any) -> Any:
    # moto drops what the caller says of the reason.
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _reflect_status(self: Any) -> None:
    execution = self.execution
    with _status_lock:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        env = execution.exec_worker.env
        _original["BaseExecutionWorkerCommunication._reflect_execution_status"](self)
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            # moto answers a string as it is, where AWS answers JSON.
            execution.output = json.dumps(execution.output)
        if execution.exec_status == ExecutionStatus.TIMED_OUT:
            env.event_manager.add_event(
                context=env.event_history_context,
                event_type=HistoryEventType.ExecutionTimedOut,
                event_details=EventDetails(executionTimedOutEventDetails=ExecutionTimedOutEventDetails()),
            )
        _close(execution)
    _tell_closed(execution)


def _tell_closed(execution: Any) -> None:
    # moto sends no status-change events.
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
            "input": json.dumps(execution.input_data),
            "inputDetails": {"included": True},
            "startDate": int(execution.start_date.timestamp() * 1000),
            "stopDate": int(execution.stop_date.timestamp() * 1000),
        },
    }
    for listener in on_execution_closed:
        listener(event)


def _status(self: Any) -> str:
    # An execution is in moto's list before it has a status.
    return str((self.exec_status or ExecutionStatus.RUNNING).value)


def _error_matches(self: Any, env: Any) -> None:
    # moto lets States.ALL catch what AWS does not let it catch.
    if (
        env.stack[-1].error_name in ("States.Runtime", "States.DataLimitExceeded")
        and error_equals.ErrorEqualsDecl._STATE_ALL_ERROR in self.error_names
    ):
        env.stack.pop()
        env.stack.append(False)
        return
    _original["ErrorEqualsDecl._eval_body"](self, env)


def _events_error(self: Any, env: Any, ex: Exception) -> Any:
    # Whatever EventBridge answers other than well is States.Runtime in moto, which nothing catches.
    if not isinstance(ex, ClientError):
        return _original["StateTaskServiceEvents._from_error"](self, env, ex)
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


# ------------------------------------------------------------------------------------------- speed, faults, counting


@functools.cache
def _shared_client(region: str, service: str) -> Any:
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, user_agent_extra=f"caller/{STATES}")
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    # moto makes a new client for every task.
    del state_credentials
    with _client_lock:
        return _shared_client(region, service)


_client_lock = threading.Lock()


@functools.lru_cache(maxsize=64)
def _parse(definition: str) -> Any:
    # moto parses the definition anew for every execution (0.3 s for the payment workflow). What it makes of it keeps
    # nothing between states: the interpreter's memory is in the environment.
    return _original["AmazonStateLanguageParser.parse"](definition)


# The name of the state machine whose task this thread runs.
_task = threading.local()


def _run_task(self: Any, env: Any) -> None:
    machine = env.states.context_object.context_object_data["StateMachine"]["Id"]
    _task.machine = _machine(machine).rpartition(":")[2]
    _original["StateTaskService._eval_execution"](self, env)


def _aws_call(self: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
    """Every call of every client goes through here, below the SDK's retries."""
    if not self.enabled:
        return None
    operation = event_name.removeprefix("before-send.")
    caller = current_function.get()
    agent = _text(request.headers.get("User-Agent", ""))
    if f"caller/{LOCAL}" in agent:
        caller = None
    elif caller is None and f"caller/{STATES}" in agent:
        caller = STATES
    counts.operation(caller, operation)
    for check in access if caller else ():
        if refused := check(_task.machine if caller == STATES else str(caller), operation, request):
            status, headers, body = refused
            return AWSResponse(request.url, status, headers, MockRawResponse(body))  # type: ignore[arg-type]
    kind = aws_faults.take(operation, caller)
    if kind is None:
        return _served(self, event_name, request, **kwargs)
    if kind == "unanswered":
        _served(self, event_name, request, **kwargs)
        if caller != STATES:
            raise ReadTimeoutError(endpoint_url=request.url)
    items = len(json.loads(request.body).get("TransactItems", [])) if kind == "conflict" else 0
    status, headers, body = fault_answer(operation, kind, items=items)
    return AWSResponse(request.url, status, headers, MockRawResponse(body))  # type: ignore[arg-type]


# Another engine for DynamoDB, if one was asked for: it keeps the items; what else there is to a table (its ARN, its
# tags, its backups), which DynamoDB Local does not know or calls otherwise, stays with moto.
_dynamodb: str | None = None
_ITEMS = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem", "Query", "Scan"}
_ITEMS |= {"TransactGetItems", "TransactWriteItems"}
_TABLES = {"CreateTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive"}
# With Nagle on, as this session has it by default, each request would take 40 ms longer.
_to_dynamodb = URLLib3Session(
    max_pool_connections=1000,
    socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # type: ignore[list-item] # its stub wants text
)


def _served(self: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
    operation = event_name.removeprefix("before-send.dynamodb.")
    if _dynamodb is not None and operation in _ITEMS | _TABLES:
        elsewhere = AWSPreparedRequest(request.method, _dynamodb, request.headers, request.body, stream_output=False)
        answer = _to_dynamodb.send(elsewhere)
        if operation in _ITEMS or answer.status_code != HTTPStatus.OK:
            return answer
    return _original["BotocoreStubber.__call__"](self, event_name, request, **kwargs)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _put_events(self: Any, events: list[dict[str, Any]]) -> Any:
    answer = _original["EventsBackend.put_events"](self, events)
    for entry, result in zip(events, answer, strict=True):
        if "EventId" in result:
            bus = str(entry.get("EventBusName") or "default").rpartition("/")[2]
            at = datetime.now(UTC).isoformat()
            published.append(Announced(bus, entry["Source"], entry["DetailType"], json.loads(entry["Detail"]), at))
    return answer


# ------------------------------------------------------------------------------------------------- one call at a time

# On AWS a function's process has one invocation at a time, and the resolver of Powertools counts on it: it keeps the
# current event on its class and the route's arguments on itself. Here many invocations share the process, and would
# answer with each other's bookings.
_resolving = threading.local()


def _resolve(self: Any, event: Any, context: Any) -> Any:
    _resolving.event, _resolving.context = self._to_proxy_event(event), {}
    return _original["ApiGatewayResolver.resolve"](self, event, context)


def _current_event(_: Any) -> Any:
    return _resolving.event


def _route_context(_: Any) -> dict[str, Any]:
    if not hasattr(_resolving, "context"):
        _resolving.context = {}
    context: dict[str, Any] = _resolving.context
    return context


# ------------------------------------------------------------------------------------------------------ putting it in

_original: dict[str, Any] = {}


def _replace(owner: Any, attribute: str, replacement: Any) -> None:
    _original[f"{owner.__name__}.{attribute}"] = getattr(owner, attribute, None)
    setattr(owner, attribute, replacement)


def install() -> None:
    """Closes every gap, once a process."""
    if _original:
        return
    backend = interpreter.StepFunctionsParserBackend
    _replace(string_expression.StringJSONata, "_eval_body", _evaluate_jsonata)
    _replace(timeouts.TimeoutSecondsJSONata, "_eval_seconds", functools.partialmethod(_whole_seconds, least=1))
    _replace(wait_seconds.SecondsJSONata, "_get_wait_seconds", functools.partialmethod(_whole_seconds, least=0))
    _replace(nested.StateTaskServiceSfn, "_normalise_parameters", _nested_parameters)
    _replace(nested.StateTaskServiceSfn, "_normalise_response", _nested_response)
    _replace(callback_pool.CallbackPoolManager, "add", _add_endpoint)
    _replace(backend, "send_task_success", _send_task_success)
    _replace(backend, "send_task_failure", _send_task_failure)
    _replace(callbacks.StateTaskServiceCallback, "_wait_for_task_token_timeout", _wait_for_answer)
    _replace(execute_state.ExecutionState, "_evaluate_with_timeout", _evaluate_with_timeout)
    _replace(timeouts.Timeout, "_eval_body", _timeout_seconds)
    _replace(lambda_models.LambdaSimpleBackend, "invoke", _invoke)
    _replace(dynamodb_responses.DynamoHandler, "call_action", _dynamodb_request)
    _replace(dynamodb_responses.DynamoResult, "execute_result", _serialize_items)
    _replace(machine_responses.StepFunctionResponse, "get_execution_history", _serialize_history)
    _replace(dynamodb_models.DynamoDBBackend, "transact_write_items", _transact)
    _replace(dynamodb_models, "copy", _CopyButTables)
    _replace(backend, "start_execution", _start_execution)
    _replace(backend, "describe_state_machine", _describe_machine)
    _replace(machine_models.StateMachine, "publish", _publish)
    _replace(executions.Execution, "stop", _stop)
    _replace(machine_responses.StepFunctionResponse, "stop_execution", _stop_request)
    _replace(executions.Execution, "status", property(_status))
    _replace(executions.BaseExecutionWorkerCommunication, "_reflect_execution_status", _reflect_status)
    _replace(error_equals.ErrorEqualsDecl, "_eval_body", _error_matches)
    _replace(put_events.StateTaskServiceEvents, "_from_error", _events_error)
    _replace(tasks.StateTaskService, "_eval_execution", _run_task)
    _replace(asl_parser.AmazonStateLanguageParser, "parse", staticmethod(_parse))
    _replace(BotocoreStubber, "__call__", _aws_call)
    _replace(events_models.EventsBackend, "put_events", _put_events)
    resolver = api_gateway.ApiGatewayResolver
    _replace(resolver, "resolve", _resolve)
    _replace(resolver, "current_event", property(_current_event))
    _replace(resolver, "context", property(_route_context, lambda _, __: None))
    # Only moto's own are asked: asking a lazy module of another package would load it.
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.") and hasattr(module, "boto_client_for"):
            _replace(module, "boto_client_for", _client_for)
    # moto looks for the service of every call in a list of hundreds.
    backend_index.backend_url_patterns.sort(key=lambda entry: entry[0] not in SERVICES)
    # Failures are in the execution's history; moto also writes each of them, with the whole state, to the screen.
    for name in ("_log_exception", "_log_failure_event_exception"):
        _replace(eval_component.EvalComponent, name, lambda *_, **__: None)
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)


def start(dynamodb: str | None = None) -> mock_aws:
    """An empty AWS in this process, until it is given to `stop`. Raises RuntimeError where there is one already.

    `dynamodb`: the address of another engine for the items of its tables, else of the environment's.
    """
    global _dynamodb  # noqa: PLW0603 - as there is one AWS, there is one of these
    install()
    if core_models.botocore_stubber.enabled:
        raise RuntimeError("there is an in-process AWS already, and all share one")
    aws = mock_aws(config=CONFIG)
    aws.start()
    # AWS is reached through botocore alone; this would look at each request to Stripe as well, at length.
    core_models.responses_mock.stop()
    _dynamodb = dynamodb or os.environ.get(credentials.DYNAMODB_ENDPOINT)
    _tokens.clear()
    counts.clear()
    aws_faults.clear()
    published.clear()
    on_execution_closed.clear()
    access.clear()
    return aws


def stop(aws: mock_aws) -> None:
    """Ends every execution and its threads, and forgets everything."""
    on_execution_closed.clear()
    for account in interpreter.stepfunctions_parser_backends.values():
        for backend in account.values():
            for execution in backend._get_executions(ExecutionStatus.RUNNING):
                execution.stop(datetime.now(UTC), "Stopped", "the local stack stops")
    deadline = time.monotonic() + 5
    for thread in interpreter_utils.TMP_THREADS:
        thread.join(max(0, deadline - time.monotonic()))
    interpreter_utils.TMP_THREADS.clear()
    if _dynamodb is not None:
        client = boto3.client("dynamodb", region_name=REGION)
        for table in client.list_tables()["TableNames"]:
            client.delete_table(TableName=table)
    aws.stop()
    archives.forget()
    _output.release()
