"""API Gateway in front of the functions: what it does by itself, from the OpenAPI document of the deployed REST API.

Routes, integrations, authorizer and gateway responses are the document's, throttling is the stage's; nothing of it is
written down here a second time. The event is the REST API's proxy event (payload version 1).
"""

import asyncio
import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import jwt
from moto.cognitoidp.models import cognitoidp_backends
from moto.utilities.utils import load_resource

from local.aws import emulator

MAX_BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_SECONDS = 29
# Calls to "Pay now" wait up to 8 s inside the handler, and all of them at once must not queue.
WORKERS = 256

# Status where the document gives none, and the response that stands in where the document has none of the type.
RESPONSES = {
    "UNAUTHORIZED": (401, "DEFAULT_4XX"),
    "EXPIRED_TOKEN": (403, "DEFAULT_4XX"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "DEFAULT_4XX"),
    "REQUEST_TOO_LARGE": (413, "DEFAULT_4XX"),
    "THROTTLED": (429, "DEFAULT_4XX"),
    "INTEGRATION_FAILURE": (502, "DEFAULT_5XX"),
    "INTEGRATION_TIMEOUT": (504, "DEFAULT_5XX"),
}
MESSAGES = {
    "UNAUTHORIZED": "Unauthorized",
    "EXPIRED_TOKEN": "The incoming token has expired",
    "MISSING_AUTHENTICATION_TOKEN": "Missing Authentication Token",
    "REQUEST_TOO_LARGE": "Request Too Long",
    "THROTTLED": "Too Many Requests",
    "INTEGRATION_FAILURE": "Internal server error",
    "INTEGRATION_TIMEOUT": "Endpoint request timed out",
}

type Json = dict[str, Any]
type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Refused(Exception):
    """API Gateway answers by itself, with the gateway response of this type."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Request:
    """One request on its way through; `path` is without the stage and not decoded."""

    id: str
    method: str
    path: str
    headers: list[tuple[str, str]]
    query: str
    body: bytes
    client: str
    at: float = field(default_factory=time.time)

    def header(self, name: str) -> str | None:
        return next((value for key, value in reversed(self.headers) if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    function_arn: str
    pool_arns: Sequence[str]

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.template)))

    @property
    def bucket(self) -> str:
        return f"{self.template.removeprefix('/')}/{self.method}"


class TokenBucket:
    """API Gateway's throttling: `burst` requests at once, `rate` a second in the long run."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class Gateway:
    """ASGI application of one stage; `limits` maps `*/*` or `path/METHOD` to (rate, burst)."""

    def __init__(self, document: Json, *, stage: str, limits: Mapping[str, tuple[float, float]]) -> None:
        self._stage = stage
        self.follow(document, limits)
        self._keys = {key["kid"]: jwt.PyJWK(key) for key in _jwks()}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="gateway")

    def follow(self, document: Json, limits: Mapping[str, tuple[float, float]]) -> None:
        """Another deployment of the same stage."""
        self._limits = limits
        self._responses: Json = document.get("x-amazon-apigateway-gateway-responses", {})
        self._binary: list[str] = document.get("x-amazon-apigateway-binary-media-types", [])
        # A path without variables goes before one with.
        self._routes = sorted(_routes(document), key=lambda route: route.template.count("{"))
        self._buckets: dict[str, TokenBucket] = {}

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(
            id=str(uuid.uuid4()),
            method=scope["method"],
            path=scope["raw_path"].decode("ascii", "replace").removeprefix(scope.get("root_path", "")),
            # The server has lower-cased the names; this is how clients of HTTP/1.1 write them.
            headers=[(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in scope["headers"]],
            query=scope["query_string"].decode("ascii", "replace"),
            body=b"",
            client=(scope.get("client") or ("127.0.0.1", 0))[0],
        )
        try:
            body = await _body(receive)
            answer = await self._answer(Request(**{**vars(request), "body": body}))
        except Refused as refused:
            answer = self._gateway_response(refused.kind, request)
        headers = [*answer.headers, ("x-amzn-RequestId", request.id), ("Content-Length", str(len(answer.body)))]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, request: Request) -> Answer:
        route, variables = self._route(request)
        self._throttle(route)
        claims = self._authorize(route, request)
        event = self._event(request, route, variables, claims)
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._workers, emulator.invoke, route.function_arn, event)
        try:
            answer, failed = await asyncio.wait_for(call, TIMEOUT_SECONDS)
        except TimeoutError:
            raise Refused("INTEGRATION_TIMEOUT") from None
        if failed:
            raise Refused("INTEGRATION_FAILURE")
        return _proxied(answer)

    def _route(self, request: Request) -> tuple[Route, dict[str, str]]:
        for route in self._routes:
            if route.method == request.method and (match := route.pattern.fullmatch(request.path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        raise Refused("MISSING_AUTHENTICATION_TOKEN")

    def _throttle(self, route: Route) -> None:
        limit = self._limits.get(route.bucket) or self._limits.get("*/*")
        if limit and not self._buckets.setdefault(route.bucket, TokenBucket(*limit)).take():
            raise Refused("THROTTLED")

    def _authorize(self, route: Route, request: Request) -> dict[str, str] | None:
        """The verified ID token's claims as API Gateway flattens them; None where the route needs none."""
        if not route.pool_arns:
            return None
        token = (request.header("Authorization") or "").removeprefix("Bearer ").strip()
        for arn in route.pool_arns:
            pool_id = arn.rpartition("/")[2]
            pool = cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools.get(pool_id)
            try:
                claims = jwt.decode(
                    token,
                    self._keys[jwt.get_unverified_header(token)["kid"]],
                    algorithms=["RS256"],
                    audience=list(pool.clients),
                    issuer=f"https://cognito-idp.{emulator.REGION}.amazonaws.com/{pool_id}",
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
            except jwt.ExpiredSignatureError:
                raise Refused("EXPIRED_TOKEN") from None
            except (jwt.InvalidTokenError, KeyError):
                continue
            # Without scopes on the method the token must say who the user is; an access token says what it may do.
            if claims.get("token_use") == "id":
                return flatten(claims)
        raise Refused("UNAUTHORIZED")

    def _event(self, request: Request, route: Route, variables: Json, claims: Json | None) -> Json:
        media_type = (request.header("Content-Type") or "").partition(";")[0].strip()
        try:
            text = None if media_type in self._binary or "*/*" in self._binary else request.body.decode()
        except UnicodeDecodeError:
            text = None
        query = parse_qsl(request.query, keep_blank_values=True)
        moment = datetime.fromtimestamp(request.at, UTC)
        context: Json = {
            "resourceId": "local",
            "resourcePath": route.template,
            "httpMethod": request.method,
            "extendedRequestId": request.id,
            "requestTime": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(request.at * 1000),
            "path": f"/{self._stage}{request.path}",
            "accountId": emulator.ACCOUNT,
            "protocol": "HTTP/1.1",
            "stage": self._stage,
            "domainPrefix": "local",
            "domainName": request.header("Host"),
            "requestId": request.id,
            "apiId": "local",
            "identity": {"sourceIp": request.client, "userAgent": request.header("User-Agent")},
        }
        if claims is not None:
            context["authorizer"] = {"claims": claims}
        return {
            "resource": route.template,
            "path": request.path,
            "httpMethod": request.method,
            "headers": dict(request.headers) or None,
            "multiValueHeaders": _grouped(request.headers),
            "queryStringParameters": dict(query) or None,
            "multiValueQueryStringParameters": _grouped(query),
            "pathParameters": variables or None,
            "stageVariables": None,
            "requestContext": context,
            # API Gateway gives text, or base64 where text cannot carry the bytes.
            "body": (base64.b64encode(request.body).decode() if text is None else text) if request.body else None,
            "isBase64Encoded": bool(request.body) and text is None,
        }

    def _gateway_response(self, kind: str, request: Request) -> Answer:
        status, default = RESPONSES[kind]
        response: Json = self._responses.get(kind) or self._responses.get(default, {})
        known = {
            "context.requestId": request.id,
            "context.extendedRequestId": request.id,
            "context.error.message": MESSAGES[kind],
            "context.error.messageString": json.dumps(MESSAGES[kind]),
            "context.error.responseType": kind,
        }
        headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", kind)]
        for target, source in response.get("responseParameters", {}).items():
            if source.startswith("'"):
                value: str | None = source[1:-1]
            elif source.startswith("method.request.header."):
                value = request.header(source.removeprefix("method.request.header."))
            else:
                value = known[source]
            if value:
                headers.append((target.removeprefix("gatewayresponse.header."), value))
        template = response.get("responseTemplates", {}).get(
            "application/json", '{"message":$context.error.messageString}'
        )
        body = re.sub(r"\$(context(?:\.\w+)+)", lambda match: known[match[1]], template)
        return Answer(int(response.get("statusCode", status)), headers, body.encode())


def flatten(claims: Mapping[str, Any]) -> dict[str, str]:
    """Claims as a REST API's authorizer hands them over: all text, lists joined by commas, two times spelt out."""

    def text(name: str, value: Any) -> str:
        if name in ("exp", "iat"):
            return datetime.fromtimestamp(value, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
        if isinstance(value, list):
            return ",".join(map(str, value))
        return json.dumps(value) if isinstance(value, bool | dict) else str(value)

    return {name: text(name, value) for name, value in claims.items()}


def _jwks() -> list[Json]:
    """Moto signs for every pool with one key and publishes this."""
    keys: list[Json] = load_resource("cognitoidp/resources/jwks-public.json")["keys"]
    return keys


def _routes(document: Json) -> list[Route]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [
        Route(
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


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]] | None:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped or None


def _proxied(answer: Any) -> Answer:
    """What the function answered, as HTTP; whatever is not a proxy answer is the function's failure."""
    if not isinstance(answer, dict) or not isinstance(answer.get("statusCode"), int):
        raise Refused("INTEGRATION_FAILURE")
    many = {name: list(map(str, values)) for name, values in (answer.get("multiValueHeaders") or {}).items()}
    one = {name: [str(value)] for name, value in (answer.get("headers") or {}).items() if name not in many}
    headers = [(name, value) for name, values in {**one, **many}.items() for value in values]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    body = answer.get("body") or ""
    return Answer(
        answer["statusCode"], headers, base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    )


async def _body(receive: Receive) -> bytes:
    """The whole body. What is too large is read to its end all the same, so that the client hears of it."""
    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY_BYTES:
            body += part
        if not message.get("more_body"):
            break
    if size > MAX_BODY_BYTES:
        raise Refused("REQUEST_TOO_LARGE")
    return bytes(body)
