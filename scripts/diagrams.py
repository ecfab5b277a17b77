"""Draws the workflows from their definitions, and the page that shows them: `python -m scripts.diagrams` (needs Node).

statemachines/{name}.svg has a group for each state, whose id is the state's name, and one for each edge,
`From->To`.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.external_tools import install
from statemachines.render import load

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "diagrams.md"
WORKFLOWS = ("payment", "refund")
NPM = ["npm", "ci", "--no-audit", "--no-fund"]

# Catches of any error lead to the operators from almost every state: thin lines keep the rest legible.
_ANY_ERROR = "States.ALL"
_ANY_ERROR_STYLE = ', style=dotted, color="#8c959f", constraint=false'
_ERROR_STYLE = ', style=dashed, color="#a1102a"'
_NEEDLESS = re.compile(r"\bDynamoDb\.|Exception\b")
_GRAPH = """digraph "{name}" {{
  bgcolor=white; rankdir=TB; nodesep=0.12; ranksep=0.4; pad=0.2;
  node [shape=box, style="rounded,filled", fillcolor="#f6f8fa", color="#57606a", fontname="Helvetica,Arial,sans-serif",
    fontsize=13, height=0.4, margin="0.18,0.06"];
  edge [color="#57606a", fontcolor="#424a53", fontname="Helvetica,Arial,sans-serif", fontsize=11, arrowsize=0.7];
"""


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


def edge_label(labels: Sequence[str]) -> str:
    """What stands beside an edge: nothing at the normal transition and at any error; names and values otherwise."""
    shown = [] if "" in labels else [label for label in labels if label != _ANY_ERROR]
    return "\n".join(
        _NEEDLESS.sub("", label) if _is_error(label) or label == "else" else _when(label) for label in shown
    )


def _when(condition: str) -> str:
    """The values that a condition names; "yes" where it asks what its state's name asks."""
    return ", ".join(re.findall(r"'(\w+)'", condition)) or "yes"


def dot(name: str, definition: Mapping[str, Any]) -> str:
    """Return the graph of a workflow in Graphviz's language."""
    lines = [_GRAPH.format(name=name)]
    for state, of in definition["States"].items():
        shape = {"Choice": "diamond", "Succeed": "oval", "Fail": "oval"}.get(of["Type"])
        # A diamond is twice as wide as its text.
        more = {None: "", "diamond": ', shape=diamond, style=filled, margin="0,0.02"'}.get(shape, f", shape={shape}")
        width = ", penwidth=2" if state == definition["StartAt"] or of["Type"] in {"Succeed", "Fail"} else ""
        lines.append(f"  {_quoted(state)} [id={_quoted(state)}{more}{width}];")
    for (source, target), labels in transitions(dict(definition)).items():
        style = ""
        if all(_is_error(label) for label in labels):
            style = _ANY_ERROR_STYLE if labels == [_ANY_ERROR] else _ERROR_STYLE
        lines.append(
            f"  {_quoted(source)} -> {_quoted(target)} "
            f"[id={_quoted(f'{source}->{target}')}, label={_quoted(edge_label(labels))}{style}];"
        )
    return "\n".join([*lines, "}"])


def page() -> str:
    """Return the whole page: for each workflow its diagram and the purpose of each state."""
    intro = (
        "`make docs` draws these from `statemachines/*.asl.yaml`. Dashed arrows are errors that the definition names,"
        " dotted ones all other errors."
    )
    sections = ["# Diagrams", intro]
    for name in WORKFLOWS:
        definition = load(name)
        rows = "\n".join(f"| {state} | {of['Comment']} |" for state, of in definition["States"].items())
        sections += [
            f"## The {name} workflow",
            definition["Comment"],
            f"![The states of the {name} workflow](../statemachines/{name}.svg)",
            f"| State | Purpose |\n|---|---|\n{rows}",
        ]
    return "\n\n".join(sections) + "\n"


def picture(name: str) -> Path:
    return ROOT / "statemachines" / f"{name}.svg"


def _condition(expression: str) -> str:
    return expression.removeprefix("{%").removesuffix("%}").strip()


def _is_error(label: str) -> bool:
    return bool(label) and label != "else" and not label.startswith("$")


def _quoted(text: str) -> str:
    return json.dumps(text)


def _draw() -> None:
    tool = install("graphviz", NPM)
    graphs = "\n".join(json.dumps(dot(name, load(name))) for name in WORKFLOWS)
    drawn = subprocess.run(["node", "render.mjs"], cwd=tool, input=graphs, capture_output=True, text=True, check=True)
    for name, svg in zip(WORKFLOWS, drawn.stdout.splitlines(), strict=True):
        picture(name).write_text(json.loads(svg))


if __name__ == "__main__":
    PAGE.write_text(page())
    _draw()
