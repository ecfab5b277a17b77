"""A stack for each module, since nights run out, and one Chromium for all; each test has its own visitor."""

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


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with start_stack() as local, closing(RunningStack(local, total_amount=112_500)) as stack:
        yield stack


@pytest.fixture
def new_visitor(browser: Browser, stack: RunningStack, tool: Path) -> Iterator[NewVisitor]:
    visitors: list[Visitor] = []

    def begin(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, stack.url, tool / "axe-core" / "axe.min.js", **options))
        return visitors[-1]

    yield begin
    stack.stripe.faults.clear()
    stack.stripe.webhooks.set_mode("deliver")
    stack.stripe.refund_status = None
    for visitor in visitors:
        visitor.close()


@pytest.fixture(params=["mouse", "keyboard"])
def visitor(request: pytest.FixtureRequest, new_visitor: NewVisitor) -> Visitor:
    """Once with the mouse, once with the keyboard alone."""
    return new_visitor(hand=request.param)
