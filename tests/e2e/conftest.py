import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.harness.admin_over_http import AdminOverHttp
from tests.harness.leaks import WatchedStack
from tests.harness.running_stack import RunningStack, start_stack


class StackOverHttp(RunningStack):
    """Everything goes over HTTP, `/local` included."""

    admin: AdminOverHttp

    def __init__(self, local: WatchedStack) -> None:
        super().__init__(local, admin=AdminOverHttp(local.url))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pulumi", action="store_true", help="on stacks that the Pulumi engine has deployed")
    parser.addoption("--production", action="store_true", help="on stacks with the configuration of Pulumi.prod.yaml")


# What Pulumi.prod.yaml leaves to the account.
ACCOUNT = {
    "operatorEmail": "operators@example.com",
    "webAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/guests/0a1b2c3d",
}


def production() -> dict[str, str | int]:
    prod = yaml.safe_load((Path(__file__).parents[2] / "Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    own = {key.removeprefix("booking-payments:"): value for key, value in prod.items() if key.startswith("booking-")}
    return own | ACCOUNT


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    """The configuration of the module's stack; a module may have its own."""
    return {}


@pytest.fixture(scope="module")
def running(config: dict[str, str | int], pytestconfig: pytest.Config) -> Iterator[StackOverHttp]:
    base = production() if pytestconfig.getoption("--production", default=False) else {}
    with (
        start_stack(base | config, pulumi=pytestconfig.getoption("--pulumi", default=False)) as local,
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
