"""Writes the JSON schema of each event to docs/events/, from its model: `python -m scripts.event_schemas`."""

import json
from pathlib import Path

from shared.contracts.booking_events import EVENTS

TARGET = Path(__file__).parents[1] / "docs" / "events"


def schemas() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        f"{name}.json": json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **event.model_json_schema()}, indent=2
        )
        + "\n"
        for name, event in EVENTS.items()
    }


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for file, text in schemas().items():
        (TARGET / file).write_text(text, encoding="utf-8")
