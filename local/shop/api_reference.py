"""docs/openapi.json as the page /docs shows it."""

import functools
import json
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"

type Json = dict[str, Any]


@functools.cache
def reference() -> list[Json]:
    """Each operation with its parameters, its body's fields, and its answers."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    return [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation["summary"],
            "parameters": operation.get("parameters", []),
            "body": _fields(_schema(operation.get("requestBody", {})), schemas),
            "answers": [
                (
                    status,
                    [_error(line) for line in answer["description"].split("\n")],
                    _fields(_schema(answer), schemas) if status < "300" else [],
                )
                for status, answer in operation["responses"].items()
            ],
        }
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict) and "summary" in operation
    ]


def _error(line: str) -> tuple[str, str]:
    """An error code and what it means; no code for another answer."""
    code, _, meaning = line.removeprefix("`").partition("`: ")
    return (code, meaning) if meaning else ("", line)


def _schema(holder: Json) -> Json:
    return dict(holder.get("content", {}).get("application/json", {}).get("schema", {}))


def _fields(schema: Json, schemas: Json) -> list[tuple[str, str, bool]]:
    """The name and type of each field, and whether it is required."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [(name, _type(of), name in required) for name, of in schema.get("properties", {}).items()]


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    alternatives = [_type(one) for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if alternatives:
        return " or ".join(alternatives)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "any"))
