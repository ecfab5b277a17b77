"""Calls of AWS that go straight to moto, without a request in between: half of the work of a booking.

Permissions, faults and whoever watches calls see them as before. What a fault of AWS may meet, and calls of another
DynamoDB, go the long way, through the SDK's signatures, retries and time-outs. tests/properties/simulation compares
both; the wire format is proven by the end-to-end tests and on DynamoDB Local.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import moto.core.models as core_models
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.endpoint import convert_to_response_dict
from moto.awslambda_simple.models import lambda_simple_backends
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.dynamodb.responses import DynamoHandler
from moto.events.responses import EventsHandler
from moto.sns.responses import SNSResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.stepfunctions.responses import StepFunctionResponse
from werkzeug.exceptions import HTTPException

from local.aws import aws_account
from local.aws.patches import aws_calls, dynamodb_lock

_ITEMS = ("GetItem", "PutItem", "UpdateItem", "BatchGetItem", "Query", "TransactWriteItems")
_EXECUTIONS = ("StartExecution", "StopExecution", "DescribeExecution", "ListExecutions", "GetExecutionHistory")
_SERVED: Mapping[str, tuple[type[Any], tuple[str, ...]]] = {
    "dynamodb": (DynamoHandler, _ITEMS),
    "stepfunctions": (StepFunctionResponse, (*_EXECUTIONS, "SendTaskSuccess")),
    "ssm": (SimpleSystemManagerResponse, ("GetParameter",)),
    "events": (EventsHandler, ("PutEvents",)),
    "sns": (SNSResponse, ("GetTopicAttributes", "Publish")),
    "lambda": (object, ("Invoke",)),
}


@dataclass
class _Request:
    """What the checks and faults need of a request; `in_full` is what botocore would send."""

    client: Any
    operation: str
    params: Any

    @cached_property
    def service(self) -> str:
        return str(self.client.meta.service_model.service_name)

    @cached_property
    def headers(self) -> dict[str, str]:
        return {"User-Agent": self.client.meta.config.user_agent_extra or ""}

    @cached_property
    def body(self) -> str:
        if self.service == "lambda":
            payload = self.params.get("Payload") or "{}"
            return payload.decode() if isinstance(payload, bytes) else payload
        return urlencode(self.params) if self.service == "sns" else json.dumps(self.params)

    @cached_property
    def url(self) -> str:
        path = f"/functions/{quote(self.params['FunctionName'])}/invocations" if self.service == "lambda" else "/"
        return f"{self.client.meta.endpoint_url}{path}"

    def in_full(self) -> AWSPreparedRequest:
        given = self.client._serializer.serialize_to_request(self.params, self.model)
        body = urlencode(given["body"]) if isinstance(given["body"], dict) else given["body"]
        headers = HTTPHeaders.from_dict({**given["headers"], **self.headers})
        url = f"{self.client.meta.endpoint_url}{given['url_path']}"
        return AWSPreparedRequest(given["method"], url, headers, body, stream_output=False)

    @property
    def model(self) -> Any:
        return self.client.meta.service_model.operation_model(self.operation)


@dataclass
class _Answer:
    """What an operation has returned, without having been text."""

    data: dict[str, Any]
    status_code: int = 200
    raw: None = None

    @property
    def content(self) -> bytes:
        values = (value.getvalue() if isinstance(value, io.BytesIO) else value for value in self.data.values())
        return repr(list(values)).encode()


@contextmanager
def short_cut(may_meet_fault: Callable[[str], bool]) -> Iterator[None]:
    """Take the short cut until the end of the block, but for operations that may meet a fault."""
    client_class: Any = BaseClient
    original, serve = client_class._make_api_call, aws_calls._aws_call.original

    def make_api_call(client: Any, operation: str, params: Any) -> Any:
        service = client.meta.service_model
        called = f"{service.service_id.hyphenize()}.{operation}"
        if (
            operation not in _SERVED.get(service.service_name, ((), ()))[1]
            or client.meta.config.user_agent_extra == "Resource"  # what these are given is converted on the long way
            or may_meet_fault(called)
            or (service.service_name == "dynamodb" and aws_calls.other_dynamodb.endpoint)
        ):
            return original(client, operation, params)
        request = _Request(client, operation, params)
        answer = BotocoreStubber.__call__(core_models.botocore_stubber, f"before-send.{called}", request)
        if isinstance(answer, _Answer):
            return {**answer.data, "ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}}
        return _parsed(request, answer)

    def serve_directly(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
        if not isinstance(request, _Request):
            return serve(stubber, event_name, request, **kwargs)
        try:
            return _Answer(_served(request))
        except (ServiceException, HTTPException):
            # It has changed nothing, and fails again: now as AWS says it.
            return serve(stubber, event_name, request.in_full(), **kwargs)

    client_class._make_api_call, aws_calls._aws_call.original = make_api_call, serve_directly
    try:
        yield
    finally:
        client_class._make_api_call, aws_calls._aws_call.original = original, serve


def _served(request: _Request) -> Any:
    if request.service == "lambda":
        return _invoked(request)
    handler = _SERVED[request.service][0]()
    handler.region, handler.current_account = aws_account.REGION, aws_account.ACCOUNT
    handler.querystring, handler.uri_match, handler.headers = {}, {}, {}
    handler.body = request.body
    handler.params = json.loads(request.body) if request.service == "dynamodb" else request.params
    serve = getattr(handler, xform_name(request.operation))

    def serve_items() -> dict[str, Any]:
        return {name: value for name, value in serve().result.items() if value is not None}

    if request.service == "dynamodb":
        if dynamodb_lock._EMPTY_EXPRESSION.search(request.body):
            raise ServiceException("an empty expression")
        handler.body = handler.params
        return dynamodb_lock.measured(aws_account.REGION, request.headers, request.operation, request.body, serve_items)
    result = serve()
    value = result.result if isinstance(result, ActionResult) else json.loads(result)
    return _plain(value, request.model.output_shape) or {}


def _invoked(request: _Request) -> dict[str, Any]:
    backend, params = lambda_simple_backends[aws_account.ACCOUNT][aws_account.REGION], request.params
    error: dict[str, str] = {}
    payload = backend.invoke(params["FunctionName"], params.get("Qualifier"), request.body, {}, error)
    failed = {"FunctionError": error["x-amz-function-error"]} if error else {}
    return {"StatusCode": 200, **failed, "Payload": io.BytesIO(payload)}


def _plain(value: Any, shape: Any) -> Any:
    """What is left of moto's value once it has been text: what the service declares, without what has no value."""
    if shape is None or value is None:
        return None
    if shape.type_name == "structure":
        members = ((name, _plain(value.get(name), member)) for name, member in shape.members.items())
        return {name: member for name, member in members if member is not None}
    if shape.type_name == "list":
        return [_plain(one, shape.member) for one in value]
    if shape.type_name == "map":
        members = ((name, _plain(one, shape.value)) for name, one in value.items())
        return {name: member for name, member in members if member is not None}
    if shape.type_name == "timestamp":
        return _time(value)
    return str(value) if shape.type_name == "string" else value


def _time(value: Any) -> datetime:
    """To the millisecond, as AWS has it."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC).replace(microsecond=time.microsecond // 1000 * 1000)


def _parsed(request: _Request, answer: Any) -> Any:
    """What botocore would return or raise."""
    client, model, text = request.client, request.model, convert_to_response_dict(answer, request.model)
    parsed = client._response_parser.parse(text, model.output_shape)
    if answer.status_code == HTTPStatus.OK:
        return parsed
    client._endpoint._add_modeled_error_fields(text, parsed, model, client._response_parser)
    raise client.exceptions.from_code(parsed["Error"]["Code"])(parsed, request.operation)
