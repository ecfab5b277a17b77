"""Fixtures for the external tools. Where one is not available, the tests that need it are skipped with the reason."""

import gc
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.aws import emulator
from local.aws.dynamodb_local import dynamodb_local as start_dynamodb_local
from local.external_tools import ToolUnavailableError, install
from local.pulumi import automation
from tests.real.pulumi_cloud import PulumiCloud

UNAVAILABLE: set[str] = set()


def tool_or_skip[Tool](install_tool: Callable[[], Tool]) -> Tool:
    """What `install_tool` returns; skips the test where it raises ToolUnavailableError."""
    try:
        return install_tool()
    except ToolUnavailableError as reason:
        UNAVAILABLE.add(str(reason))
        pytest.skip(str(reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason in sorted(UNAVAILABLE):
        terminalreporter.write_line(reason, yellow=True)


@pytest.fixture(scope="session")
def stripe_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of stripe-mock, which checks requests against Stripe's OpenAPI description."""
    build = ["go", "build", "-o", ".", "github.com/stripe/stripe-mock"]
    folder = tool_or_skip(lambda: install("stripe-mock", build))
    any_port = "127.0.0.1:0"
    command = [str(folder / "stripe-mock"), "-http-addr", any_port, "-https-addr", any_port]
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
    """The address of an empty DynamoDB Local."""
    with ExitStack() as stack:
        yield tool_or_skip(lambda: stack.enter_context(start_dynamodb_local()))


@pytest.fixture(scope="session")
def pulumi_cli() -> None:
    tool_or_skip(automation.cli)


@pytest.fixture
def cloud(pulumi_cli: None, tmp_path: Path) -> Iterator[PulumiCloud]:
    moto = emulator.start()
    cloud = PulumiCloud(tmp_path)
    yield cloud
    cloud.provider.close()
    emulator.stop(moto)
    gc.collect()  # while the test's marks still ignore what Pulumi leaves open
