"""Gaps of moto: it runs functions in Docker, or returns a canned answer, and ignores the concurrency that is reserved.

Here the function's real handler runs in this process, with the errors that Lambda itself reports.
"""

import importlib
import json
import time
import traceback
import uuid
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from moto.awslambda_simple.models import LambdaSimpleBackend, lambda_simple_backends
from moto.core.exceptions import AWSError

from local.aws import archives, aws_account
from local.aws.aws_account import ACCOUNT, REGION, counts, current_function
from local.aws.function_log import function_log
from local.aws.patches.patching import replaces


class TooManyRequestsException(AWSError):  # type: ignore[misc]
    TYPE = "TooManyRequestsException"
    STATUS = 429


class LambdaContext:
    """The second argument of a handler."""

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


def invoke(function_arn: str, event: Mapping[str, Any]) -> tuple[Any, bool]:
    """Call a deployed function (by name, ARN, version or alias): its answer, and whether it is an error."""
    functions = lambda_simple_backends[ACCOUNT][REGION]
    function = functions.get_function(function_arn)
    try:
        answer, failed = _run(function, json.dumps(event))
    except TooManyRequestsException:
        return {"errorType": "TooManyRequestsException", "errorMessage": "Rate Exceeded."}, True
    return json.loads(answer), failed


@replaces(LambdaSimpleBackend, "invoke")
def invoke_by_api(
    self: Any, function_name: str, qualifier: str | None, body: Any, _: Any, response_headers: dict[str, str]
) -> bytes:
    function = self.get_function(function_name, qualifier)
    answer, failed = _run(function, body)
    if failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    return answer


def _run(function: Any, body: str | bytes) -> tuple[bytes, bool]:
    """Raises TooManyRequestsException if the function may not run now."""
    quotas = aws_account.quotas
    if _stopped(function) or not quotas.begin_function(function.function_name, body):
        raise TooManyRequestsException("Rate Exceeded.")
    try:
        return run_handler(function, body)
    finally:
        quotas.end_function()


def _stopped(function: Any) -> bool:
    """Whether none of its runs are reserved; without a reservation, a function shares the account's."""
    newest = lambda_simple_backends[ACCOUNT][REGION].get_function(function.function_name)
    return bool(newest.reserved_concurrency == 0)


def run_handler(function: Any, body: str | bytes) -> tuple[bytes, bool]:
    """The bytes of the answer, and whether it is an error, as Lambda returns them."""
    module_name, _, handler_name = function.handler.rpartition(".")
    name = module_name.split(".")[1]  # of the module or package in lambdas/
    token = current_function.set(name)
    started = time.perf_counter()
    try:
        try:
            module = _module_of(function, module_name)
            handler = getattr(module, handler_name)
        except (ImportError, AttributeError) as error:
            return _error("Runtime.ImportModuleError", str(error))
        function_log.attach(module.__name__)
        context = LambdaContext(function)
        request = f"RequestId: {context.aws_request_id} Error:"
        try:
            answer = handler(json.loads(body or "{}"), context)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its answer
            return _error(type(error).__name__, str(error), traceback.format_tb(error.__traceback__))
        except SystemExit as error:
            return _error("Runtime.ExitError", f"{request} Runtime exited: {error}")
        if context.overrun:
            # The function has done its work, but its caller has stopped waiting.
            return _error("Sandbox.Timedout", f"{request} Task timed out after {context.timeout_seconds} seconds")
        try:
            return json.dumps(answer).encode(), False
        except (TypeError, ValueError) as error:
            return _error("Runtime.MarshalError", f"Unable to marshal response: {error}")
    finally:
        counts.function(name, time.perf_counter() - started)
        current_function.reset(token)


def _module_of(function: Any, name: str) -> ModuleType:
    """The handler's module, from the archive of this version or, where that says so, from the working tree."""
    if function.code_bytes == archives.WORKING_TREE:
        return importlib.import_module(name)
    return archives.module(function.code_bytes, function.environment_vars, name)


def _error(error_type: str, message: str, trace: list[str] | None = None) -> tuple[bytes, bool]:
    body = {"errorMessage": message, "errorType": error_type, "requestId": str(uuid.uuid4()), "stackTrace": trace or []}
    return json.dumps(body).encode(), True
