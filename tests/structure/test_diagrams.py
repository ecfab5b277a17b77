"""The diagrams in docs/ are drawn from the definitions that run, so that no transition changes unnoticed."""

from scripts.diagrams import TARGET, page


def test_the_diagrams_show_the_current_definitions() -> None:
    assert TARGET.read_text() == page(), "run: make docs"
