"""One stack and one Chromium for all tests of this folder; each test has its own visitor."""

import gc
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from local.external_tools import install
from tests.browser.visitor import Visitor
from tests.harness.running_stack import RunningStack, start_stack

DISPLAYS = [(1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")]
CHROMIUM = "chromium"

type NewVisitor = Callable[..., Visitor]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write docs/screenshots/")


@pytest.fixture(scope="session")
def tool() -> Path:
    return install("browser", ["npm", "ci", "--no-audit", "--no-fund"]) / "node_modules"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which(CHROMIUM)
    assert path is not None, f"{CHROMIUM} is not installed: make test-browser installs it on Debian"
    with sync_playwright() as playwright:
        # Its sandbox cannot be used by root, as whom CI runs; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
    gc.collect()


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    with start_stack() as local, closing(RunningStack(local, total_amount=112_500)) as stack:
        yield stack


@pytest.fixture
def new_visitor(browser: Browser, stack: RunningStack, tool: Path) -> Iterator[NewVisitor]:
    visitors: list[Visitor] = []

    def begin(**display: Any) -> Visitor:
        visitors.append(Visitor(browser, stack.url, tool / "axe-core" / "axe.min.js", **display))
        return visitors[-1]

    yield begin
    stack.stripe.faults.clear()
    stack.stripe.webhooks.set_mode("deliver")
    stack.stripe.refund_status = None
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    return new_visitor()


@pytest.fixture(params=DISPLAYS, ids=lambda display: f"{display[0]}-{display[1]}")
def any_visitor(request: pytest.FixtureRequest, new_visitor: NewVisitor) -> Visitor:
    """At each width, light and dark."""
    return new_visitor(width=request.param[0], scheme=request.param[1])
