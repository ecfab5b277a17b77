"""Turns the definition of a workflow, `statemachines/{name}.asl.yaml`, into the JSON that is deployed.

Top-level keys that begin with `x-` hold the anchors that states share. They are not deployed. YAML's traps are closed:
`yes`, `on` and dates are text, only `true` and `false` are booleans, and a key that occurs twice is an error.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_BOOLEAN = "tag:yaml.org,2002:bool"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"

type Json = dict[str, Any]


class StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"keys that occur twice: {', '.join(sorted(twice))}, in the mapping{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_BOOLEAN, _TIMESTAMP}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
StrictLoader.add_implicit_resolver(_BOOLEAN, re.compile(r"true$|false$"), list("tf"))


def render(name: str, values: Mapping[str, str | int]) -> str:
    """Return the definition of workflow `name` as JSON, with every placeholder filled; see `fill`."""
    return json.dumps(fill(load(name), values), indent=2)


def load(name: str) -> Json:
    """Return the definition of workflow `name` as it is deployed, with its placeholders still to be filled."""
    folder = Path(__file__).parent
    return parse("".join((folder / file).read_text(encoding="utf-8") for file in ("retries.yaml", f"{name}.asl.yaml")))


def parse(text: str) -> Json:
    """Return the definition that `text` (YAML) describes, as plain data of which no two states share a part."""
    definition = StrictLoader(text).get_single_data()
    deployed = {key: value for key, value in definition.items() if not key.startswith("x-")}
    return dict(json.loads(json.dumps(deployed)))


def placeholders(definition: Json) -> set[str]:
    """Return the names of the `${Name}`s in `definition`."""
    return set(_PLACEHOLDER.findall(json.dumps(definition)))


def fill(definition: Json, values: Mapping[str, str | int]) -> Json:
    """Return `definition` with `${Name}` replaced by `values["Name"]` in every string.

    A string that consists of one placeholder becomes the value itself, so that a number stays a number.
    Raises ValueError for a placeholder without a value and for a value without a placeholder.
    """
    names = placeholders(definition)
    if unknown := names - values.keys():
        raise ValueError(f"placeholders without a value: {', '.join(sorted(unknown))}")
    if unused := values.keys() - names:
        raise ValueError(f"values without a placeholder: {', '.join(sorted(unused))}")

    def filled(node: Any) -> Any:
        match node:
            case dict():
                return {key: filled(value) for key, value in node.items()}
            case list():
                return [filled(item) for item in node]
            case str():
                whole = _PLACEHOLDER.fullmatch(node)
                return values[whole[1]] if whole else _PLACEHOLDER.sub(lambda match: str(values[match[1]]), node)
            case _:
                return node

    return {key: filled(value) for key, value in definition.items()}
