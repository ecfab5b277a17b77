"""Calls of DynamoDB that go straight to moto's tables, without a request in between: half of a simulation's work.

Permissions, faults, crashes and the recorder see them as before. While a fault of AWS is to come, and where another
DynamoDB has the tables, calls go the long way, through the SDK's retries and errors. test_short_cut.py compares both;
the wire format is proven by the end-to-end tests and on DynamoDB Local.
"""

import json
from dataclasses import dataclass
from typing import Any

import moto.core.models as core_models
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.dynamodb.responses import DynamoHandler

from local.aws import aws_account
from local.aws.patches import aws_calls
from tests.properties.simulation.simulation_injector import SimulationInjector

_ITEMS = {"GetItem", "PutItem", "UpdateItem", "BatchGetItem", "Query", "TransactWriteItems"}


@dataclass
class _Request:
    """What the checks and faults need of a request."""

    operation: str
    body: str
    headers: dict[str, str]
    url: str = "https://dynamodb.eu-west-1.amazonaws.com/"


def install(patch: pytest.MonkeyPatch, faults: SimulationInjector) -> None:
    """Take the short cut until the patch is undone."""
    client_class: Any = BaseClient
    original, serve = client_class._make_api_call, aws_calls._aws_call.original

    def make_api_call(client: Any, operation: str, params: Any) -> Any:
        agent = client.meta.config.user_agent_extra or ""
        of_the_system = aws_account.current_function.get() is not None or "caller/" in agent
        is_item = operation in _ITEMS and client.meta.service_model.service_name == "dynamodb"
        if not (is_item and of_the_system) or faults.aws_faults_to_come() or aws_calls.other_dynamodb.endpoint:
            return original(client, operation, params)
        request = _Request(operation, json.dumps(params), {"User-Agent": agent})
        answer = BotocoreStubber.__call__(core_models.botocore_stubber, f"before-send.dynamodb.{operation}", request)
        return _parsed(client, operation, answer)

    def serve_item(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
        if isinstance(request, _Request):
            status, _, body = _serve(request)
            return AWSResponse(request.url, status, HTTPHeaders(), MockRawResponse(body))
        return serve(stubber, event_name, request, **kwargs)

    patch.setattr(BaseClient, "_make_api_call", make_api_call)
    patch.setattr(aws_calls._aws_call, "original", serve_item)


def _serve(request: _Request) -> Any:
    handler = DynamoHandler()
    handler.body = request.body
    handler.params = json.loads(request.body)
    handler.querystring = {}
    handler.headers = {"X-Amz-Target": f"DynamoDB_20120810.{request.operation}"}
    handler.response_headers = {}
    handler.region, handler.current_account = aws_account.REGION, aws_account.ACCOUNT
    return handler.call_action()


def _parsed(client: Any, operation: str, answer: AWSResponse) -> Any:
    """What botocore would return or raise."""
    body = json.loads(answer.raw.getvalue() or "{}")
    metadata = {"RequestId": "none", "HTTPStatusCode": answer.status_code, "HTTPHeaders": {}, "RetryAttempts": 0}
    if answer.status_code == 200:
        return {**body, "ResponseMetadata": metadata}
    code = body.pop("__type").rpartition("#")[2]
    message = body.pop("message", None) or body.pop("Message", "")
    error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata, **body}
    raise client.exceptions.from_code(code)(error, operation)
