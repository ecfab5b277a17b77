"""What every request must satisfy before a page sees it, and the headers of every answer."""

import secrets
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_METHODS = frozenset({"GET", "HEAD"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RefusedError(Exception):
    """The request is not one that our own pages make: what was wrong, and what to do."""

    def __init__(self, problem: str, help_: str) -> None:
        self.problem, self.help = problem, help_


class Security:
    """Answers only to its own hosts, and takes changes only from its own pages; `refuse` answers the others."""

    def __init__(self, app: App, *, hosts: Collection[str], refuse: Callable[[RefusedError], Any]) -> None:
        self._app, self._hosts, self._refuse = app, hosts, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                message["headers"] = headers.raw
            await send(message)

        try:
            check_origin(Headers(scope=scope), scope["method"], self._hosts)
        except RefusedError as error:
            await self._refuse(error)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def check_origin(headers: Headers, method: str, hosts: Collection[str]) -> None:
    """Raises RefusedError: a foreign Host is a name that somebody else resolves to this machine."""
    if headers.get("host") not in hosts:
        address = min(hosts)
        raise RefusedError(
            "This console does not answer to the name in your browser's address bar.", f"Open http://{address}/console."
        )
    origin = headers.get("origin")
    if method not in SAFE_METHODS and origin is not None and origin not in {f"http://{host}" for host in hosts}:
        raise RefusedError(
            "This request came from another website, so nothing was done.",
            "If you did not expect this, close that website. To act on a payment, open it in the console.",
        )


def check_csrf(expected: str, given: object) -> None:
    """Raises RefusedError unless the form carries the token of the session that it was made for."""
    if not isinstance(given, str) or not secrets.compare_digest(expected.encode(), given.encode()):
        raise RefusedError(
            "This form is out of date, so nothing was done.", "Go back, reload the page, and send the form again."
        )
