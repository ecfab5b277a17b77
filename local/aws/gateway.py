"""API Gateway in front of the functions, from the OpenAPI document of the deployed REST API.

The document has the routes, integrations, authorizer and gateway responses; the stage has the throttling limits.
Nothing of that is repeated here.
"""

import asyncio
import dataclasses
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local.aws import emulator
from local.aws.api_messages import ApiRequest, ApiResponse, RequestRefusedError
from local.aws.gateway_responses import gateway_response
from local.aws.jwt_authorizer import JwtAuthorizer
from local.aws.proxy_integration import proxy_event, proxy_response
from local.aws.throttling import Throttle

MAX_BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_SECONDS = 29
# A call of "Pay now" waits up to 8 s inside the handler, and concurrent ones must not queue.
WORKERS = 256

type Json = dict[str, Any]
type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class _Route:
    """`pool_arns`: the user pools whose ID tokens are accepted; none means that no token is needed."""

    method: str
    template: str
    function_arn: str
    pool_arns: Sequence[str]

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.template)))

    @property
    def throttled_method(self) -> str:
        return f"{self.template.removeprefix('/')}/{self.method}"


class Gateway:
    """ASGI application of one stage; `limits` maps `*/*` or `path/METHOD` to (rate, burst)."""

    def __init__(self, document: Json, *, stage: str, limits: Mapping[str, tuple[float, float]]) -> None:
        self._stage = stage
        self.redeploy(document, limits)
        self._authorizer = JwtAuthorizer()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="gateway")

    def redeploy(self, document: Json, limits: Mapping[str, tuple[float, float]]) -> None:
        """Serve another deployment of the same stage."""
        self._throttle = Throttle(limits)
        self._responses: Json = document.get("x-amazon-apigateway-gateway-responses", {})
        self._binary_media_types: list[str] = document.get("x-amazon-apigateway-binary-media-types", [])
        # A path without variables takes precedence over one with variables.
        self._routes = sorted(_routes(document), key=lambda route: route.template.count("{"))

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = ApiRequest(
            id=str(uuid.uuid4()),
            method=scope["method"],
            path=scope["raw_path"].decode("ascii", "replace").removeprefix(scope.get("root_path", "")),
            # The server has made the names lower-case; clients of HTTP/1.1 capitalise them.
            headers=[(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in scope["headers"]],
            query=scope["query_string"].decode("ascii", "replace"),
            client=(scope.get("client") or ("127.0.0.1", 0))[0],
        )
        try:
            response = await self._respond(dataclasses.replace(request, body=await _body(receive)))
        except RequestRefusedError as error:
            response = gateway_response(self._responses, error.response_type, request)
        headers = [*response.headers, ("x-amzn-RequestId", request.id), ("Content-Length", str(len(response.body)))]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        await send({"type": "http.response.body", "body": response.body})

    async def _respond(self, request: ApiRequest) -> ApiResponse:
        route, variables = self._route(request)
        if not self._throttle.allows(route.throttled_method):
            raise RequestRefusedError("THROTTLED")
        claims = None
        if route.pool_arns:
            claims = self._authorizer.claims(request.header("Authorization"), route.pool_arns)
        event = proxy_event(
            request,
            stage=self._stage,
            template=route.template,
            variables=variables,
            claims=claims,
            binary_media_types=self._binary_media_types,
        )
        call = asyncio.get_running_loop().run_in_executor(self._workers, emulator.invoke, route.function_arn, event)
        try:
            result, failed = await asyncio.wait_for(call, TIMEOUT_SECONDS)
        except TimeoutError:
            raise RequestRefusedError("INTEGRATION_TIMEOUT") from None
        if failed:
            raise RequestRefusedError("INTEGRATION_FAILURE")
        return proxy_response(result)

    def _route(self, request: ApiRequest) -> tuple[_Route, dict[str, str]]:
        for route in self._routes:
            if route.method == request.method and (match := route.pattern.fullmatch(request.path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        raise RequestRefusedError("MISSING_AUTHENTICATION_TOKEN")


def _routes(document: Json) -> list[_Route]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [
        _Route(
            method=method.upper(),
            template=template,
            function_arn=_function_arn(operation["x-amazon-apigateway-integration"]["uri"]),
            pool_arns=[
                arn
                for requirement in operation.get("security", [])
                for name in requirement
                for arn in schemes[name]["x-amazon-apigateway-authorizer"]["providerARNs"]
            ],
        )
        for template, item in document["paths"].items()
        for method, operation in item.items()
        if "x-amazon-apigateway-integration" in operation
    ]


def _function_arn(uri: str) -> str:
    return uri.partition("/functions/")[2].removesuffix("/invocations")


async def _body(receive: Receive) -> bytes:
    """The whole body; one that is too large is read to its end all the same, so that the client gets the response."""
    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
        if not message.get("more_body"):
            break
    if size > MAX_BODY_BYTES:
        raise RequestRefusedError("REQUEST_TOO_LARGE")
    return bytes(body)
