"""The diagrams are drawn from the definitions that run, so that no transition changes unnoticed."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from scripts.diagrams import PAGE, WORKFLOWS, edge_label, page, picture, transitions
from tests.structure.definitions import MACHINES

SVG = "{http://www.w3.org/2000/svg}"


def groups(workflow: str, kind: str) -> Iterator[tuple[str, str]]:
    """The id and the text of each group of the picture of this class."""
    for group in ET.fromstring(picture(workflow).read_text()).iter(f"{SVG}g"):  # noqa: S314 - our own file
        if group.get("class") == kind:
            yield group.get("id", ""), "\n".join(text.text or "" for text in group.iter(f"{SVG}text"))


def test_the_page_shows_the_current_definitions() -> None:
    assert PAGE.read_text() == page(), "run: make docs"


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_picture_has_a_group_for_each_state_and_no_other(workflow: str) -> None:
    assert sorted(groups(workflow, "node")) == sorted((state, state) for state in MACHINES[workflow]["States"])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_picture_has_an_arrow_for_each_transition_and_no_other(workflow: str) -> None:
    expected = {f"{a}->{b}": edge_label(labels) for (a, b), labels in transitions(MACHINES[workflow]).items()}
    assert dict(groups(workflow, "edge")) == expected


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([""], ""),
        (["States.ALL"], ""),
        (["DynamoDb.ConditionalCheckFailedException", "States.ALL"], "ConditionalCheckFailed"),
        (["$nextStep = 'confirm'", "else"], "confirm\nelse"),
        (["$refused = true"], "yes"),
        (["$status in ['pending', 'requires_action']"], "pending, requires_action"),
    ],
)
def test_an_arrow_says_in_a_word_why_it_is_taken(labels: list[str], shown: str) -> None:
    assert edge_label(labels) == shown
