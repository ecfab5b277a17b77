"""What a state does changes only on purpose: every state is compared with a recorded digest of its meaning.

After a change that is meant, record the digests again: `python -m tests.structure.test_recorded_states`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.structure.definitions import MACHINES, STATES, state_of

HOW = "if this is meant, run: python -m tests.structure.test_recorded_states"
RECORDED = Path(__file__).with_name("recorded_states.json")


def meaning(state: dict[str, Any]) -> str:
    """Return the state as JSON, without its comment and without any order or white space that means nothing."""
    rules = {
        field: [{**rule, "ErrorEquals": sorted(rule["ErrorEquals"])} for rule in state[field]]
        for field in ("Retry", "Catch")
        if field in state
    }
    if "Retry" in rules:
        rules["Retry"].sort(key=lambda rule: str(rule["ErrorEquals"]))
    text = json.dumps({**state, **rules, "Comment": ""}, sort_keys=True)
    return "".join(text.split())


def digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(meaning(state).encode()).hexdigest()[:16]


def test_all_states_are_recorded() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert {machine: list(states) for machine, states in recorded.items()} == {
        machine: list(definition["States"]) for machine, definition in MACHINES.items()
    }, HOW


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_a_state_means_what_was_recorded(machine: str, name: str) -> None:
    state = state_of(machine, name)
    recorded = json.loads(RECORDED.read_text())[machine].get(name)
    assert digest(state) == recorded, f"{name} has changed: {meaning(state)}; {HOW}"


if __name__ == "__main__":
    digests = {
        machine: {name: digest(state) for name, state in definition["States"].items()}
        for machine, definition in MACHINES.items()
    }
    RECORDED.write_text(json.dumps(digests, indent=2) + "\n")
