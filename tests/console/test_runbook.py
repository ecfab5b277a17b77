"""console.runbook: each matter leads to a section, in plain HTML."""

import pytest

from console.runbook import RUNBOOK, section
from shared.domain.matters import KINDS
from tests.console.conftest import Browser


@pytest.mark.parametrize("page", sorted({kind.page for kind in KINDS.values()}))
def test_each_kind_of_matter_has_a_section(page: str) -> None:
    found = section(page)
    assert found is not None
    assert found[0] == page
    assert not any(form in found[1] for form in ("`", "](", "**", "\n- "))


def test_every_section_of_the_runbook_can_be_read() -> None:
    titles = [line.removeprefix("### ") for line in RUNBOOK.read_text().splitlines() if line.startswith("### ")]
    assert len(titles) > 30
    assert all(section(title.lower()) for title in titles)


def test_a_section_is_a_page_and_links_to_others(browser: Browser) -> None:
    page = browser.sign_in().open("/console/runbook/executiondied")
    assert "<h1>ExecutionDied</h1>" in page
    assert '<a href="/console/runbook/executionsfailed">ExecutionsFailed</a>' in page
    assert "<code>execution payment NAME</code>" in page
    browser.open("/console/runbook/Nothing")
    assert browser.status == 404
