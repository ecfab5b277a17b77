"""Writes docs/configuration.md from infra/config.py: `python -m scripts.configuration`."""

import json
from pathlib import Path

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from infra.config import Config

TARGET = Path(__file__).parents[1] / "docs" / "configuration.md"

_INTRODUCTION = """\
# Configuration

Every key of a stack, from `infra/config.py`; `make docs` writes this page. Set one with `pulumi config set KEY VALUE`,
or on one machine with `python -m local --set KEY=VALUE`. A wrong, missing or unknown key stops the program with a
message that names it. The Stripe keys are not part of the configuration: `make stripe-webhook` stores them.

| key | default | limits | what it does |
|---|---|---|---|
"""


def page() -> str:
    properties = Config.model_json_schema()["properties"]
    rows = [
        f"| `{field.alias}` | {_default(field)} | {_limits(field, properties[field.alias])} | {_description(field)} |"
        for field in Config.model_fields.values()
    ]
    return _INTRODUCTION + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    return "none" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _limits(field: FieldInfo, schema: dict[str, object]) -> str:
    for constraint in field.metadata:
        if isinstance(constraint, AfterValidator):
            return str(constraint.func.__doc__).removesuffix(".")
    alternatives = schema.get("anyOf", [])
    for alternative in (schema, *(alternatives if isinstance(alternatives, list) else [])):
        match alternative:
            case {"type": "integer", "minimum": least, "maximum": most}:
                return f"{least} to {most}"
            case {"type": "boolean"}:
                return "`true` or `false`"
            case {"pattern": pattern}:
                return f"`{str(pattern).replace('|', chr(92) + '|')}`"
    raise ValueError(f"{field.alias} has no limits that could be documented")


def _description(field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"{field.alias} has no docstring")
    return " ".join(field.description.split())


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
