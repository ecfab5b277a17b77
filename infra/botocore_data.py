"""Trims botocore's data to what the functions call: parsing it is most of what making a client takes.

A test compares OPERATIONS with the calls in shared/.
"""

import gzip
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

OPERATIONS: Mapping[str, frozenset[str]] = {
    "dynamodb": frozenset({"BatchGetItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"}),
    "events": frozenset({"PutEvents"}),
    "s3": frozenset({"DeleteObject", "GetObject", "ListObjectsV2", "PutObject"}),
    "sns": frozenset({"GetTopicAttributes", "Publish"}),
    "ssm": frozenset({"GetParameter"}),
    "stepfunctions": frozenset({"DescribeExecution", "GetExecutionHistory", "SendTaskSuccess", "StartExecution"}),
}
# The services' names in endpoints.json.
_ENDPOINTS = {"dynamodb", "events", "s3", "sns", "ssm", "states"}
_KEPT = {"endpoint-rule-set-1.json.gz", "paginators-1.json", "service-2.json"}


def trim(data: Path) -> None:
    """Trim the folder `data` of botocore: other services, old versions, operations and documentation go."""
    for service in (path for path in data.iterdir() if path.is_dir()):
        if service.name not in OPERATIONS:
            shutil.rmtree(service)
            continue
        *old, newest = sorted(service.iterdir())
        for version in old:
            shutil.rmtree(version)
        packed = newest / "service-2.json.gz"
        model = trimmed_model(json.loads(gzip.decompress(packed.read_bytes())), OPERATIONS[service.name])
        _write(newest / "service-2.json", model)
        for file in newest.iterdir():
            if file.name not in _KEPT:
                file.unlink()
    endpoints = data / "endpoints.json"
    known = json.loads(endpoints.read_text(encoding="utf-8"))
    for partition in known["partitions"]:
        partition["services"] = {name: of for name, of in partition["services"].items() if name in _ENDPOINTS}
    _write(endpoints, known)


def _write(file: Path, content: Any) -> None:
    """Write a new file, since an old one may be a link to one that others use."""
    file.unlink(missing_ok=True)
    file.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def trimmed_model(model: Mapping[str, Any], operations: frozenset[str]) -> dict[str, Any]:
    """A service's model with these operations and their shapes, without documentation."""
    kept = {name: _without_documentation(model["operations"][name]) for name in sorted(operations)}
    shapes: dict[str, Any] = {}
    wanted = set(_shape_names(kept))
    while wanted:
        name = wanted.pop()
        shapes[name] = _without_documentation(model["shapes"][name])
        wanted |= set(_shape_names(shapes[name])) - shapes.keys()
    rest = {name: of for name, of in model.items() if name not in {"documentation", "operations", "shapes"}}
    return {**rest, "operations": kept, "shapes": dict(sorted(shapes.items()))}


def _without_documentation(value: Any, *, names: bool = False) -> Any:
    """`names`: the keys are names of members, one of which may be `documentation`."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if names or key != "documentation"}
        return {key: _without_documentation(inner, names=key == "members") for key, inner in kept.items()}
    return [_without_documentation(inner) for inner in value] if isinstance(value, list) else value


def _shape_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for inner in value.values():
            yield from _shape_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _shape_names(inner)
