"""Each real part is a fixture: started for the session on loopback, or what needs it skips with the reason."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from local.aws.dynamodb_local import dynamodb_local as running
from local.external_tools import ToolUnavailableError, install

MISSING: set[str] = set()


def tool_or_skip[Part](brought: Callable[[], Part]) -> Part:
    try:
        return brought()
    except ToolUnavailableError as reason:
        MISSING.add(str(reason))
        pytest.skip(str(reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason in sorted(MISSING):
        terminalreporter.write_line(reason, yellow=True)


@pytest.fixture(scope="session")
def stripe_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Stripe's own test server, which checks requests against Stripe's OpenAPI description."""
    build = ["go", "build", "-o", ".", "github.com/stripe/stripe-mock"]
    folder = tool_or_skip(lambda: install("stripe-mock", build))
    anywhere = "127.0.0.1:0"
    command = [str(folder / "stripe-mock"), "-http-addr", anywhere, "-https-addr", anywhere]
    log = tmp_path_factory.mktemp("stripe-mock") / "log"
    with log.open("w") as written, subprocess.Popen(command, stdout=written, stderr=written) as server:
        try:
            while not (address := re.search(r"Listening for HTTP at address: (\S+)\n", log.read_text())):
                assert server.poll() is None, f"stripe-mock did not start: {log.read_text()}"
                time.sleep(0.05)
            yield f"http://{address[1]}"
        finally:
            server.terminate()


@pytest.fixture
def dynamodb_local() -> Iterator[str]:
    """The address of an empty DynamoDB Local, AWS's own engine."""
    with ExitStack() as end:
        yield tool_or_skip(lambda: end.enter_context(running()))
