"""Pages that no journey comes to, and what the pages are made of."""

from pathlib import Path

import pytest

from tests.browser.visitor import Visitor

STATIC = Path(__file__).parents[2] / "console" / "static"


def test_htmx_is_the_pinned_one(tool: Path) -> None:
    assert (STATIC / "htmx.min.js").read_bytes() == (tool / "htmx.org" / "dist" / "htmx.min.js").read_bytes()


def test_the_api_reference_can_be_read(visitor: Visitor) -> None:
    visitor.open("/docs")
    visitor.press(visitor.page.get_by_text("Cancel a paid booking with a refund by policy"))
    visitor.reads("Idempotency-Key")
    visitor.press(visitor.page.get_by_text("A first call, in a shell"))
    visitor.reads(f"curl -s -X POST {visitor.url}/local/reservations")
    visitor.check()
    visitor.press("openapi.json")
    visitor.reads('"openapi": "3.0.3"')


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/booking/RES-nobody", "We do not know this booking."),
        ("/nothing", "There is no such page."),
        ("/console/payments/RES-nobody", "We could not find"),
        ("/console/nothing", "There is no such page."),
        ("/console/payments?q=pi_nobody", "No payment has this number."),
        ("/console/payments?from=yesterday", "A date must look like 2026-11-27."),
        ("/console/figures", "Payments started today"),  # Today loads it with a script
        ("/console/sign-in", "For operators"),
        ("/console/ledger", "Each day (UTC) of our ledger"),
        ("/console/runbook/AwaitOperator", "The amount stays reserved meanwhile"),
    ],
)
def test_a_page_says(visitor: Visitor, path: str, says: str) -> None:
    if path.startswith("/console"):
        visitor.sign_in()
    visitor.open(path).reads(says)
    visitor.check()
