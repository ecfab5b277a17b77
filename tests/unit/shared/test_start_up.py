"""shared.start_up: what a function prepares on Lambda, and that no failure of it keeps the function from serving."""

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from shared import start_up
from tests.harness.lambda_environment import ENVIRONMENT

NAME = "AWS_LAMBDA_FUNCTION_NAME"
FUNCTION = "import lambdas.{}, gc; print(gc.isenabled())"


class Reported:
    """The steps of a test, and what was reported of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(start_up, "_steps", [])
        monkeypatch.setattr(gc, "freeze", lambda: None)
        self.done: list[str] = []
        self.failures: dict[str, Exception] = {}

    def run(self) -> None:
        start_up.start_up(self.failures.__setitem__)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Reported:
    return Reported(monkeypatch)


def test_nothing_is_prepared_outside_of_lambda(reported: Reported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    start_up.at_start(lambda: reported.done.append("connected"))
    reported.run()
    assert reported.done == []


def test_a_step_that_fails_is_reported_and_the_next_ones_are_done(
    reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, "function")

    @start_up.at_start
    def connect() -> None:
        raise ConnectionError("no network")

    start_up.at_start(lambda: reported.done.append("connected"))
    reported.run()
    assert {name.rpartition(".")[2]: str(error) for name, error in reported.failures.items()} == {
        "connect": "no network"
    }
    assert reported.done == ["connected"]


def test_steps_are_left_to_the_first_event_when_others_took_long(
    reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An initialization of more than 10 s begins again."""
    monkeypatch.setenv(NAME, "function")
    monkeypatch.setattr(start_up, "LAST_STEP_SECONDS", -1)
    start_up.at_start(lambda: reported.done.append("connected"))
    reported.run()
    assert reported.done == []
    assert [str(error) for error in reported.failures.values()] == ["left to the first event"]


class _Refusing(BaseHTTPRequestHandler):
    """SSM throttles, or has a key that was never stored; all else answers."""

    throttled = True
    read: ClassVar[list[str]] = []  # the names of parameters

    def do_GET(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.read.append(request["Name"])
        if self.throttled:
            self._answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
        else:
            self._answer(200, {"Parameter": {"Name": "key", "Type": "SecureString", "Value": "to be stored"}})

    def _answer(self, status: int, body: Any) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class _WithAnotherKey(_Refusing):
    throttled = False


@pytest.fixture
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param is None:
        yield "http://127.0.0.1:9"  # nobody listens
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def initialize(function: str, endpoint: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, NAME: "function", "AWS_ENDPOINT_URL": endpoint, "STRIPE_API_BASE": endpoint}
    return subprocess.run(
        [sys.executable, "-c", FUNCTION.format(function)],
        check=True,
        capture_output=True,
        text=True,
        env=environment | changes,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("endpoint", "not_prepared"),
    [
        (None, {"connect_to_dynamodb", "connect_to_stripe"}),
        (_Refusing, {"connect_to_stripe"}),
        (_WithAnotherKey, {"connect_to_stripe"}),
    ],
    ids=["no network", "throttled SSM", "wrong key"],
    indirect=["endpoint"],
)
def test_a_function_is_initialized_whatever_fails_and_the_log_says_what(endpoint: str, not_prepared: set[str]) -> None:
    ran = initialize("create_checkout_session", endpoint)
    *log, collecting = ran.stdout.splitlines()
    assert collecting == "True"
    lines = [json.loads(line) for line in log]
    assert {line["message"] for line in lines} == {"not prepared"}
    assert {line["step"].rpartition(".")[2] for line in lines} == not_prepared
    assert "to be stored" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("endpoint", [_WithAnotherKey], indirect=True)
@pytest.mark.parametrize(
    ("function", "own", "key"),
    [("create_checkout_session", "", "/booking/test/stripe/secret_key"), ("reconcile_ledger", "/own/key", "/own/key")],
)
def test_a_function_reads_the_one_key_of_stripes_that_it_may_read(
    endpoint: str, function: str, own: str, key: str
) -> None:
    _Refusing.read.clear()
    initialize(function, endpoint, STRIPE_REPORTING_KEY_PARAMETER=own)
    assert set(_Refusing.read) == {key}
