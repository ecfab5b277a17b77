"""Draws the state machines from their definitions into docs/diagrams.md: `python -m scripts.diagrams`."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1] / "statemachines"
TARGET = HERE.parent / "docs" / "diagrams.md"


def edges(definition: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Every way from one state to another, with what takes it: nothing, a condition, or names of errors."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, state in definition["States"].items():
        ways = [("", state["Next"])] if "Next" in state else []
        ways += [(_condition(choice["Condition"]), choice["Next"]) for choice in state.get("Choices", [])]
        ways += [("else", state["Default"])] if "Default" in state else []
        ways += [(", ".join(catch["ErrorEquals"]), catch["Next"]) for catch in state.get("Catch", [])]
        for label, target in ways:
            found.setdefault((name, target), []).append(label)
    return found


def _condition(expression: str) -> str:
    return expression.removeprefix("{%").removesuffix("%}").strip()


def mermaid(definition: dict[str, Any]) -> str:
    """The diagram's text; a state that ends the execution leads to the end mark."""
    ids = {name: name.rstrip("?") + ("_" if name.endswith("?") else "") for name in definition["States"]}
    lines = ["stateDiagram-v2"]
    lines += [f'  state "{name}" as {ids[name]}' for name in ids if ids[name] != name]
    lines.append(f"  [*] --> {ids[definition['StartAt']]}")
    for (name, target), labels in edges(definition).items():
        told = "; ".join(label for label in labels if label)
        lines.append(f"  {ids[name]} --> {ids[target]}" + (f": {told}" if told and "" not in labels else ""))
    lines += [
        f"  {ids[name]} --> [*]" for name, state in definition["States"].items() if state["Type"] in {"Succeed", "Fail"}
    ]
    return "\n".join(lines)


def page() -> str:
    """The whole page: for each workflow the diagram and what its states are for."""
    parts = ["# Diagrams", "Drawn from `statemachines/*.asl.json` by `make docs`."]
    for name in ("payment", "refund"):
        definition = json.loads((HERE / f"{name}.asl.json").read_text())
        rows = "\n".join(f"| {state} | {of['Comment']} |" for state, of in definition["States"].items())
        parts += [
            f"## The {name} workflow",
            definition["Comment"],
            f"```mermaid\n{mermaid(definition)}\n```",
            f"| state | what it is for |\n|---|---|\n{rows}",
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page())
