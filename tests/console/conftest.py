"""A console in this process, in front of an API that answers what a test says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from console.console_app import create_app
from console.console_configuration import Configuration
from console.sign_in import OneClick
from local.virtual_time.in_process_http import served
from tests.console.samples import EXECUTION, RECORD, REFUNDED

type Json = dict[str, Any]

URL, API = "http://127.0.0.1:8409", "http://127.0.0.1:8408"


@dataclass
class FakeApi:
    """`answers` by method and path; `called` are the requests with a body, in order; `tokens` are accepted."""

    answers: dict[str, tuple[int, Json]] = field(default_factory=dict)
    called: list[tuple[str, Json]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=lambda: ["operators-token"])

    async def answer(self, request: Request) -> JSONResponse:
        if request.headers["Authorization"].removeprefix("Bearer ") not in self.tokens:
            return JSONResponse({"error_code": "UNAUTHENTICATED", "message": "Signed out.", "recovery": ""}, 401)
        name = f"{request.method} {request.url.path.removeprefix('/payments')}"
        if request.method == "POST":
            self.called.append((name, await request.json()))
        missing = (404, {"error_code": "NOT_FOUND", "message": "We could not find this booking.", "recovery": ""})
        status, body = self.answers.get(name, missing)
        return JSONResponse(body, status)


@dataclass
class Browser:
    """A browser that follows redirects and keeps the cookie; `page` is what it shows."""

    url: str = URL
    cookie: str = ""
    page: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    def open(self, path: str, **options: Any) -> str:
        return self._request("GET", path, **options)

    def send(self, path: str, fields: Json, **options: Any) -> str:
        """Send a form with the CSRF token of the page that is shown."""
        csrf = self.page.partition('name="csrf" value="')[2].partition('"')[0]
        return self._request("POST", path, data={"csrf": csrf, **fields}, **options)

    def sign_in(self) -> "Browser":
        self.open("/console/sign-in")
        self.send("/console/sign-in", {"to": "/console/payments"})
        return self

    def _request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> str:
        sent = {"Cookie": self.cookie, **(headers or {})}
        answer = requests.request(
            method,
            path if "://" in path else self.url + path,
            headers=sent,
            timeout=10,
            allow_redirects=False,
            **options,
        )
        if (cookie := answer.headers.get("Set-Cookie")) is not None:
            self.cookie = cookie.partition(";")[0]
        if answer.is_redirect:
            return self.open(answer.headers["Location"])
        self.page, self.status, self.headers = answer.text, answer.status_code, answer.headers
        return self.page


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            "GET ": (200, {"payments": []}),
            "GET /RES-1": (200, RECORD),
            "GET /RES-2": (200, REFUNDED),
            "GET /RES-1/executions/RES-1": (200, EXECUTION),
            "GET /RES-1/refund-quote": (400, {"error_code": "REFUND_NOT_ALLOWED", "message": "", "recovery": ""}),
        }
    )


@pytest.fixture
def browser(api: FakeApi) -> Iterator[Browser]:
    """Signed in as nobody; one click signs in with a token that the API accepts."""
    configuration = Configuration(
        api_url=API,
        hosts=["127.0.0.1:8409"],
        sign_in=OneClick(lambda: "operators-token"),
        time_zone=ZoneInfo("Europe/Madrid"),
    )
    routes = [Route("/payments{path:path}", api.answer, methods=["GET", "POST"])]
    with served(API, Starlette(routes=routes)), served(URL, create_app(configuration)):
        yield Browser()
