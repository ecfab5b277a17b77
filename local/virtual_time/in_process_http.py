"""HTTP without sockets: what `requests` sends to a served address goes to its ASGI application, in the same thread."""

import asyncio
import contextlib
import io
import threading
from collections.abc import Iterator, MutableMapping
from contextvars import Context
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

type Message = MutableMapping[str, Any]


@contextlib.contextmanager
def served(url: str, app: Any) -> Iterator[None]:
    """Serve the application at this address until the end of the block."""
    original = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if not (request.url or "").startswith(f"{url}/"):
            return original(adapter, request, **options)
        timeout = options.get("timeout")
        seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        return adapter.build_response(request, _exchange(app, request, seconds))

    HTTPAdapter.send = send  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        HTTPAdapter.send = original  # type: ignore[method-assign]


def _exchange(app: Any, request: requests.PreparedRequest, seconds: float | None) -> urllib3.HTTPResponse:
    body = request.body or b""
    exchange = Exchange(body.encode() if isinstance(body, str) else body)
    parts = urlsplit(str(request.url))
    headers = {"host": parts.netloc, **{name.lower(): value for name, value in request.headers.items()}}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode("latin-1"), _bytes(value)) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port),
    }
    loop = _Loop()
    try:
        call = asyncio.wait_for(app(scope, exchange.receive, exchange.send), seconds)
        loop.run_until_complete(loop.create_task(call, context=Context()))
    except TimeoutError:
        raise requests.ReadTimeout(request=request) from None
    finally:
        loop.close()
    if exchange.status is None:
        raise requests.ConnectionError("the connection was closed without a response", request=request)
    return urllib3.HTTPResponse(
        body=io.BytesIO(exchange.body), headers=exchange.headers, status=exchange.status, preload_content=False
    )


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


class Exchange:
    """One request and its response; also stands for the transport that the fake Stripe aborts to break a connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status: int | None = None
        self.headers = urllib3.HTTPHeaderDict()
        self.body = b""

    @property
    def transport(self) -> "Exchange":
        return self

    def abort(self) -> None:
        pass

    def get_extra_info(self, _: str) -> "Exchange":
        return self

    def setsockopt(self, *_: object) -> None:
        pass

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message["headers"]:
                self.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        else:
            self.body += message.get("body", b"")


class _Loop(asyncio.BaseEventLoop):
    """An event loop for one exchange: it has no sockets to watch, and waits like any other thread."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._woken = threading.Event()

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._woken.wait(timeout)
        self._woken.clear()
        return []

    def _process_events(self, _: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._woken.set()
