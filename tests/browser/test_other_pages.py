"""Pages that no journey comes to, and what the pages are made of."""

from pathlib import Path

import pytest

from tests.browser.visitor import Visitor

STATIC = Path(__file__).parents[2] / "console" / "static"


def test_htmx_is_the_pinned_one(tool: Path) -> None:
    assert (STATIC / "htmx.min.js").read_bytes() == (tool / "htmx.org" / "dist" / "htmx.min.js").read_bytes()


def test_the_api_reference_can_be_read(any_visitor: Visitor) -> None:
    visitor = any_visitor.open("/docs")
    visitor.page.get_by_text("Cancel a paid booking with a refund by policy").click()
    visitor.reads("Idempotency-Key")
    visitor.check()


@pytest.mark.parametrize("path", ["/booking/RES-nobody", "/nothing"])
def test_the_shop_says_what_it_does_not_know(visitor: Visitor, path: str) -> None:
    visitor.open(path).reads("Not found")
    visitor.check()


@pytest.mark.parametrize("path", ["/console/payments/RES-nobody", "/console/nothing"])
def test_the_console_says_what_it_does_not_know(visitor: Visitor, path: str) -> None:
    visitor.sign_in().open(path)
    visitor.page.get_by_role("heading", level=1).wait_for()
    visitor.check()


def test_a_search_without_a_result_says_what_can_be_searched(any_visitor: Visitor) -> None:
    any_visitor.sign_in("/console/payments?q=pi_nobody").reads("No payment has this number.")
    any_visitor.check()


def test_the_figures_can_be_read_without_scripts(any_visitor: Visitor) -> None:
    any_visitor.sign_in().open("/console/figures").reads("Payments started today")
    any_visitor.check()
