"""The pictures that operators read are those of the definitions that run."""

from scripts.diagrams import TARGET, page


def test_the_diagrams_are_drawn_from_the_definitions_as_they_are() -> None:
    assert TARGET.read_text() == page(), "run: make docs"
