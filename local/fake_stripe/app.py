"""`/v1/…`: checks the key, finds the route, applies faults and idempotency, executes, responds.

Nothing here blocks the event loop.
"""

import asyncio
import base64
import binascii
import json
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from local.fake_stripe.account import Account, current_request
from local.fake_stripe.idempotency import Answer
from local.fake_stripe.objects import API_VERSION, check_expansions, expand, new_id
from local.fake_stripe.params import check, decode
from local.fake_stripe.request_log import Request
from local.fake_stripe.stripe_errors import InvalidRequestError, StripeError
from local.fake_stripe.stripe_operations import ROUTES, Route
from local.virtual_time.virtual_time import call_seconds

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ConnectionDroppedError(Exception):
    """The connection is closed without a response."""

    def __init__(self, *, reset: bool) -> None:
        self.reset = reset


class PageAnsweredError(Exception):
    """A proxy in front of Stripe answers with a page of HTML."""

    def __init__(self, status: int) -> None:
        self.status = status


class Api:
    """ASGI application; not FastAPI, because dropping a connection needs the server's transport."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        started = time.perf_counter()
        request = Request(new_id("req"), self._account.clock.now(), scope["method"], f"/v1{path}")
        request.idempotency_key = headers.get("idempotency-key")
        self._account.requests.append(request)
        try:
            body = await _body(receive)
            answer = await self._respond_to(request, headers, scope["query_string"].decode(), body)
        except StripeError as problem:
            answer = _error(problem, request)
        except PageAnsweredError as page:
            request.status, request.seconds = page.status, time.perf_counter() - started
            await _send(send, page.status, {"content-type": "text/html"}, b"<html>blocked</html>")
            return
        except ConnectionDroppedError as dropped:
            request.seconds = time.perf_counter() - started
            await _drop(receive, reset=dropped.reset)
            return
        request.status, request.error = answer.status, answer.body.get("error")
        request.seconds = time.perf_counter() - started
        await _respond(send, request, answer)

    async def _respond_to(self, request: Request, headers: dict[str, str], query: str, body: bytes) -> Answer:
        account = self._account
        reading = account.reading_keys if request.method == "GET" else set()
        _check_key(headers.get("authorization", ""), account.api_keys | reading, account.reading_keys)
        if headers.get("stripe-version", API_VERSION) != API_VERSION:
            raise InvalidRequestError(
                f"Invalid Stripe API version: {headers['stripe-version']}; the fake supports {API_VERSION}."
            )
        route, ids = _route(request)
        request.operation = route.operation
        request.params = decode(
            parse_qsl(
                query if request.method in ("GET", "DELETE") else body.decode(errors="replace"), keep_blank_values=True
            )
        )
        request.fault = account.faults.take(route.operation)
        if request.fault is None and account.quotas.limited:
            call = self._repeated(request)
            request.fault = "rate_limit" if account.quotas.refuses_stripe(route.operation, call) else None
        await self._fault_before(request)
        if request.idempotency_key is None and (seconds := account.latency_seconds or call_seconds()):
            await asyncio.sleep(seconds)
        answer = await self._idempotent(request, route, ids)
        if request.fault == "timeout_after":
            await asyncio.sleep(account.faults.silence_seconds)
            raise ConnectionDroppedError(reset=False)
        return answer

    def _repeated(self, request: Request) -> str:
        """What repetitions have in common: the key, or that the same booking is read, whose objects name each other."""
        if request.method != "GET":
            return f"{request.path} {request.idempotency_key}"
        named = [*request.path.split("/"), str((request.params or {}).get("payment_intent", ""))]
        found = [of for name in named if (of := self._account.fetch(name))]
        booking = (found[0].get("metadata") or {}).get("reservation_id") if found else None
        return f"read {booking or request.path}"

    async def _fault_before(self, request: Request) -> None:
        match request.fault:
            case "rate_limit":
                raise StripeError(
                    429, "invalid_request_error", "Too many requests hit the API too quickly.", code="rate_limit"
                )
            case "conflict":
                busy = "This object cannot be accessed right now because another request is accessing it."
                raise StripeError(409, "invalid_request_error", busy, code="lock_timeout")
            case "timeout_before":
                await asyncio.sleep(self._account.faults.silence_seconds)
                raise ConnectionDroppedError(reset=False)
            case "reset":
                raise ConnectionDroppedError(reset=True)
            case "refuse":
                raise InvalidRequestError("This request is not allowed for your account.")
            case "html_403" | "html_408":
                raise PageAnsweredError(int(request.fault.removeprefix("html_")))

    async def _idempotent(self, request: Request, route: Route, ids: tuple[str, ...]) -> Answer:
        key = request.idempotency_key if request.method == "POST" else None
        if key is None:
            return self._execute(request, route, ids)[0]
        account = self._account
        with account.current():
            fingerprint = json.dumps([request.method, request.path, request.params], sort_keys=True)
            if replay := account.idempotency.begin(key, fingerprint):
                request.replayed = True
                return replay
        remembered: Answer | None = None
        try:
            await asyncio.sleep(account.latency_seconds or call_seconds())
            answer, remember = self._execute(request, route, ids)
            remembered = answer if remember else None
        finally:
            with account.lock:
                account.idempotency.finish(key, remembered)
        return answer

    def _execute(self, request: Request, route: Route, ids: tuple[str, ...]) -> tuple[Answer, bool]:
        """The response, and whether it is remembered under the idempotency key."""
        failure = StripeError(500, "api_error", "An unknown error occurred.")
        if request.fault == "server_error":
            return _error(failure, request), True
        token = current_request.set({"id": request.id, "idempotency_key": request.idempotency_key})
        try:
            with self._account.current():
                params = check(request.params or {}, route.params)
                expansions = params.pop("expand", [])
                check_expansions(route.kind, expansions, listed=route.operation.endswith(".list"))
                result = route.run(self._account, params, *ids)
                answer = Answer(200, expand(result, expansions, self._account.fetch), request.id)
        except StripeError as problem:
            return _error(problem, request), problem.remembered
        finally:
            current_request.reset(token)
        return (_error(failure, request) if request.fault == "server_error_after" else answer), True


def _check_key(authorization: str, keys: set[str], restricted: set[str]) -> None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            value = ""
    if not value:
        hint = "You need to provide your API key in the Authorization header, using Bearer auth."
        raise StripeError(401, "invalid_request_error", f"You did not provide an API key. {hint}")
    if value in restricted - keys:
        raise StripeError(403, "invalid_request_error", "The provided key does not have the required permissions.")
    if value not in keys:
        # The first characters show the kind of key, the last ones which key it was.
        raise StripeError(401, "invalid_request_error", f"Invalid API Key provided: {value[:8]}{'*' * 8}{value[-4:]}")


def _route(request: Request) -> tuple[Route, tuple[str, ...]]:
    for route in ROUTES:
        if route.method == request.method and (match := re.fullmatch(route.pattern, request.path)):
            return route, match.groups()
    raise InvalidRequestError(f"Unrecognized request URL ({request.method}: {request.path}).", status=404)


def _error(problem: StripeError, request: Request) -> Answer:
    return Answer(
        problem.status,
        {"error": problem.error | {"request_log_url": f"/local/stripe/requests#{request.id}"}},
        request.id,
    )


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionDroppedError(reset=False)
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _respond(send: Send, request: Request, answer: Answer) -> None:
    headers = {"content-type": "application/json", "request-id": request.id, "stripe-version": API_VERSION}
    if request.idempotency_key is not None:
        headers["idempotency-key"] = request.idempotency_key
        if request.replayed:
            headers |= {"idempotent-replayed": "true", "original-request": answer.request_id}
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            # The same key would get the same response.
            headers["stripe-should-retry"] = "false"
    body = json.dumps(answer.body, indent=2).encode()
    await _send(send, answer.status, headers, body)


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    headers |= {"content-length": str(len(body))}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _drop(receive: Receive, *, reset: bool) -> None:
    """Close the client's connection; `receive` is a method of the uvicorn object that has the transport."""
    transport = receive.__self__.transport  # type: ignore[attr-defined]
    if reset:
        # Without lingering, the peer gets RST instead of an orderly shutdown.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    # uvicorn notices in its next turn; until then it would complain about the missing response.
    await receive()
