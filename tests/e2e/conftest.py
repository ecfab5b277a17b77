import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from local.stack import LocalStack
from tests.harness.admin_over_http import AdminOverHttp
from tests.harness.running_stack import RunningStack, start_stack


class StackOverHttp(RunningStack):
    """Everything goes over HTTP, `/local` included."""

    admin: AdminOverHttp

    def __init__(self, local: LocalStack) -> None:
        super().__init__(local, admin=AdminOverHttp(local.url))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pulumi", action="store_true", help="on stacks that the Pulumi engine has deployed")


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    """The configuration of the module's stack; a module may have its own."""
    return {}


@pytest.fixture(scope="module")
def running(config: dict[str, str | int], pytestconfig: pytest.Config) -> Iterator[StackOverHttp]:
    with (
        start_stack(config, pulumi=pytestconfig.getoption("--pulumi", default=False)) as local,
        closing(StackOverHttp(local)) as stack,
    ):
        yield stack


@pytest.fixture
def stack(running: StackOverHttp) -> Iterator[StackOverHttp]:
    """The module's stack; faults that a test leaves, and webhooks that it holds, end with it."""
    yield running
    running.stripe.faults.clear()
    running.stripe.webhooks.set_mode("deliver")


def age_stored_secrets() -> None:
    """Let every function that is refused a secret read it again at once, as if it had read it long ago."""
    for name, module in list(sys.modules.items()):
        if name.endswith("shared.adapters.secrets"):
            module._refreshed.clear()
