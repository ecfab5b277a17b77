"""docs/events/ is written from the models of the events, so that none changes unnoticed."""

from scripts.event_schemas import TARGET, schemas


def test_the_schemas_show_the_current_events() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in TARGET.iterdir()} == schemas(), "run: make docs"
