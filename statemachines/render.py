"""Fills the `${Placeholder}`s of a state machine definition, strictly."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def render(name: str, values: Mapping[str, str | int]) -> str:
    """The definition `statemachines/{name}.asl.json` with every placeholder filled; see `fill`."""
    return fill(Path(__file__).with_name(f"{name}.asl.json").read_text(encoding="utf-8"), values)


def fill(definition: str, values: Mapping[str, str | int]) -> str:
    """`definition` (JSON) with `${Name}` replaced by `values["Name"]` in every string.

    A string that is nothing but one placeholder takes its value as it is, so that a number becomes a number.
    Raises ValueError for a placeholder without a value and for a value without a placeholder.
    """
    found: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        found.add(match[1])
        return str(values.get(match[1]))

    def walk(node: Any) -> Any:
        match node:
            case dict():
                return {key: walk(value) for key, value in node.items()}
            case list():
                return [walk(item) for item in node]
            case str():
                text = _PLACEHOLDER.sub(replace, node)
                whole = _PLACEHOLDER.fullmatch(node)
                return values.get(whole[1]) if whole else text
            case _:
                return node

    filled = walk(json.loads(definition))
    if unknown := found - values.keys():
        raise ValueError(f"placeholders without a value: {', '.join(sorted(unknown))}")
    if unused := values.keys() - found:
        raise ValueError(f"values without a placeholder: {', '.join(sorted(unused))}")
    return json.dumps(filled, indent=2)
