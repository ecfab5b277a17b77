"""Gap of moto: it serves every call, whoever makes it.

Every call of every client goes through here, below the SDK's retries. It is counted, checked against the permissions
of its caller, and may meet an injected fault before it is served by moto or by another DynamoDB.
"""

import json
import socket
from http import HTTPStatus
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService

from local.aws import aws_account
from local.aws.aws_faults import STATES, fault_response
from local.aws.patches.aliases_and_versions import unqualified
from local.aws.patches.patching import replaces
from local.virtual_time.virtual_time import take_turns

# The other DynamoDB keeps the items. What else belongs to a table (its ARN, tags, backups) stays with moto, because
# DynamoDB Local does not know it or calls it otherwise.
_ITEMS = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem", "Query", "Scan"}
_ITEMS |= {"TransactGetItems", "TransactWriteItems"}
_TABLES = {"CreateTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive"}


class OtherDynamoDb:
    """A DynamoDB that serves the items instead of moto, if `endpoint` is set."""

    def __init__(self) -> None:
        self.endpoint: str | None = None
        # With Nagle's algorithm, this session's default, each request would take 40 ms longer.
        self._session = URLLib3Session(
            max_pool_connections=1000,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # type: ignore[list-item] # its stub wants text
        )

    def serve(self, operation: str, request: Any) -> Any:
        """The response, or None if moto is to serve the request (too)."""
        service, _, name = operation.partition(".")
        if self.endpoint is None or service != "dynamodb" or name not in _ITEMS | _TABLES:
            return None
        # A request from another process has headers that the HTTP client cannot copy.
        headers: Any = HeadersDict(request.headers.items())
        forwarded = AWSPreparedRequest(request.method, self.endpoint, headers, request.body, stream_output=False)
        response = self._session.send(forwarded)
        return response if name in _ITEMS or response.status_code != HTTPStatus.OK else None


other_dynamodb = OtherDynamoDb()


@replaces(StateTaskService, "_eval_execution")
def _run_task(self: Any, env: Any) -> None:
    arn = env.states.context_object.context_object_data["StateMachine"]["Id"]
    aws_account.current_state_machine.set(unqualified(arn).rpartition(":")[2])
    _run_task.original(self, env)


@replaces(BotocoreStubber, "__call__")
def _aws_call(self: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
    if not self.enabled:
        return None
    operation = event_name.removeprefix("before-send.")
    caller = _caller(request)
    if caller:
        take_turns()
    aws_account.counts.operation(caller, operation)
    for check in aws_account.access if caller else ():
        identity = aws_account.current_state_machine.get() if caller == STATES else str(caller)
        if refusal := check(identity, operation, request):
            return _response(request, *refusal)
    kind = aws_account.aws_faults.take(operation, caller)
    if kind is None and aws_account.quotas.refuses_aws(operation, caller, request.body):
        kind = "throttled"
    if kind in (None, "unanswered"):
        response = other_dynamodb.serve(operation, request)
        if response is None:
            response = _aws_call.original(self, event_name, request, **kwargs)
        if kind is None:
            return response
        if caller != STATES:
            raise ReadTimeoutError(endpoint_url=request.url)
    items = len(json.loads(request.body).get("TransactItems", [])) if kind == "conflict" else 0
    return _response(request, *fault_response(operation, kind, items=items))


def _caller(request: Any) -> str | None:
    """A module of lambdas/, `states`, or None for the local stack itself."""
    agent = request.headers.get("User-Agent", "")
    agent = agent.decode() if isinstance(agent, bytes) else agent
    if f"caller/{aws_account.LOCAL}" in agent:
        return None
    return aws_account.current_function.get() or (STATES if f"caller/{STATES}" in agent else None)


def _response(request: Any, status: int, headers: dict[str, str], body: str) -> AWSResponse:
    return AWSResponse(request.url, status, headers, MockRawResponse(body))  # type: ignore[arg-type]
