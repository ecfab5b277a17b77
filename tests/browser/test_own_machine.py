"""The console on an operator's machine: `python -m console`, with an OpenID provider, in a real browser."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.routing import Route

from console.__main__ import configure, parse
from console.console_app import create_app
from local.aws.dynamodb_local import free_port
from tests.browser.visitor import Visitor
from tests.console.conftest import FakeApi
from tests.console.openid_provider import OpenIdProvider
from tests.console.samples import EXECUTION, RECORD
from tests.harness.waiting import wait_until


@contextmanager
def serve(app: Any, port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, f"port {port} to be served")
    yield
    server.should_exit = True
    thread.join()


def test_an_operator_signs_in_at_the_provider_and_comes_back(browser: Browser, tool: Path) -> None:
    api_port, provider_port, port = free_port(), free_port(), free_port()
    api = FakeApi({"GET /RES-1": (200, RECORD), "GET /RES-1/executions/RES-1": (200, EXECUTION)})
    provider = OpenIdProvider(
        f"http://127.0.0.1:{provider_port}", redirects=(f"http://localhost:{port}/console/callback",)
    )
    api.tokens = provider.issued
    with ExitStack() as serving:
        api_routes = [Route("/payments{path:path}", api.answer, methods=["GET", "POST"])]
        serving.enter_context(serve(Starlette(routes=api_routes), api_port))
        serving.enter_context(serve(provider.app, provider_port))
        given = ["--api", f"http://127.0.0.1:{api_port}", "--user-pool", provider.issuer, "--port", str(port)]
        arguments = parse([*given, "--client-id", provider.client_id])
        serving.enter_context(serve(create_app(configure(arguments)), port))
        visitor = Visitor(browser, f"http://localhost:{port}", tool / "axe-core" / "axe.min.js", hand="keyboard")
        visitor.open("/console/payments/RES-1").check()
        visitor.press("Sign in")
        visitor.reads("Booking RES-1")
        visitor.check()
        # The browser went to the provider, as it should, and nowhere else.
        assert {problem.partition("?")[0] for problem in visitor.problems} == {
            f"a request to {provider.issuer}/authorize"
        }
        visitor.problems.clear()
        visitor.open("/console/payments/RES-1").reads("Booking RES-1")
        visitor.close()
