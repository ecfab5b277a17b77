"""Draws the workflows from their definitions into docs/diagrams.md: `python -m scripts.diagrams`."""

from pathlib import Path
from typing import Any

from statemachines.render import load

TARGET = Path(__file__).parents[1] / "docs" / "diagrams.md"


def transitions(definition: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return every transition (from, to) with its labels: "" for the normal one, a condition, or names of errors."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, state in definition["States"].items():
        targets = [("", state["Next"])] if "Next" in state else []
        targets += [(_condition(choice["Condition"]), choice["Next"]) for choice in state.get("Choices", [])]
        targets += [("else", state["Default"])] if "Default" in state else []
        targets += [(", ".join(catch["ErrorEquals"]), catch["Next"]) for catch in state.get("Catch", [])]
        for label, target in targets:
            found.setdefault((name, target), []).append(label)
    return found


def _condition(expression: str) -> str:
    return expression.removeprefix("{%").removesuffix("%}").strip()


def mermaid(definition: dict[str, Any]) -> str:
    """Return the text of the diagram."""
    ids = {name: name.rstrip("?") + ("_" if name.endswith("?") else "") for name in definition["States"]}
    lines = ["stateDiagram-v2"]
    lines += [f'  state "{name}" as {ids[name]}' for name in ids if ids[name] != name]
    lines.append(f"  [*] --> {ids[definition['StartAt']]}")
    for (name, target), labels in transitions(definition).items():
        label = "" if "" in labels else f": {'; '.join(labels)}"
        lines.append(f"  {ids[name]} --> {ids[target]}{label}")
    lines += [
        f"  {ids[name]} --> [*]" for name, state in definition["States"].items() if state["Type"] in {"Succeed", "Fail"}
    ]
    return "\n".join(lines)


def page() -> str:
    """Return the whole page: for each workflow its diagram and the purpose of each state."""
    sections = ["# Diagrams", "`make docs` draws these from `statemachines/*.asl.yaml`."]
    for name in ("payment", "refund"):
        definition = load(name)
        rows = "\n".join(f"| {state} | {of['Comment']} |" for state, of in definition["States"].items())
        sections += [
            f"## The {name} workflow",
            definition["Comment"],
            f"```mermaid\n{mermaid(definition)}\n```",
            f"| State | Purpose |\n|---|---|\n{rows}",
        ]
    return "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page())
