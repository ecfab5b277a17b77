"""Checks the properties of a resource against the service model in botocore: required, type, length, enum, pattern."""

import copy
import functools
from collections.abc import Iterator
from typing import Any

import botocore.session
import regex  # the models' patterns have classes that Python's own `re` does not know
from botocore.validate import ParamValidator, ValidationErrors

from local.pulumi.resources.resource_type import Resource, Values
from scripts.service_calls import CALLS, DOCUMENTED, Call

type Shape = Any
"""A type of botocore's model; its stubs lack the members of each kind."""


class _UnmappedError(Exception):
    """A property that is no member of the call, and is not in CALLS."""


class _Validator(ParamValidator):
    """botocore's own validator, which also checks what botocore leaves to the service."""

    VALIDATED_METADATA_ATTRS = ParamValidator.VALIDATED_METADATA_ATTRS | {"max", "enum", "pattern"}

    def __init__(self) -> None:
        self.refused: list[str] = []

    def _validate(self, params: Any, shape: Shape, errors: ValidationErrors, name: str) -> None:
        super()._validate(params, shape, errors, name)  # type: ignore[misc]  # the stubs have only what is public
        limits = shape.metadata
        size = len(params) if isinstance(params, str | list | dict) else params
        if "max" in limits and isinstance(size, int | float) and size > limits["max"]:
            self.refused.append(f"{name[1:]}: {params!r:.60} is over {limits['max']}")
        if not isinstance(params, str):
            return
        if "enum" in limits and params not in limits["enum"]:
            self.refused.append(f"{name[1:]}: {params!r} is none of {', '.join(limits['enum'])}")
        if "pattern" in limits and not regex.fullmatch(limits["pattern"], params):
            self.refused.append(f"{name[1:]}: {params!r:.60} does not match {limits['pattern']}")


class InputChecks:
    """`checked` counts the values that were compared with a member, `operations` has the calls."""

    def __init__(self) -> None:
        self.checked = 0
        self.operations: set[tuple[str, str]] = set()

    def problems(self, resource: Resource) -> Iterator[str]:
        """What AWS would refuse, or what CALLS does not say."""
        call = CALLS.get(resource.type)
        if call is None:
            yield "scripts/service_calls.py does not say which call creates it"
            return
        try:
            yield from self._compare(call, resource.inputs)
        except _UnmappedError as unmapped:
            yield f"scripts/service_calls.py does not say what {unmapped} becomes in {call.operation}"
        for (type_, name), pattern in DOCUMENTED.items():
            value = resource.inputs.get(name)
            if type_ == resource.type and value is not None and not pattern.fullmatch(str(value)):
                yield f"{name}: {value!r:.80} does not match {pattern.pattern}"

    def _compare(self, call: Call, inputs: Values) -> Iterator[str]:
        self.operations.add((call.service, call.operation))
        model, conversion = _model(call.service), _Conversion(call)
        shape: Shape = model.operation_model(call.operation).input_shape
        params = copy.deepcopy(dict(call.added))
        for name in sorted(inputs.keys() - call.unchecked.keys()):
            other, _, path = _target(call, name, shape).rpartition(":")
            if other:
                alone = _member(_shape(model, other), path.split(".") if path else [])
                yield from _refused(conversion.convert(name, inputs[name], alone), alone, f".{name}")
            else:
                conversion.put(params, shape, path.split("."), name, inputs[name])
        yield from _refused(params, shape, "")
        self.checked += conversion.values


class _Conversion:
    """From properties to members of `call`; `values` counts them."""

    def __init__(self, call: Call) -> None:
        self._call, self.values = call, 0

    def put(self, into: Values, shape: Shape, path: list[str], name: str, value: Any) -> None:
        """Sets the member at `path`; on the way through a list it is the member of its first entry."""
        first, *rest = path
        inner = _member(shape, [first])
        if not rest:
            into[first] = self.convert(name, value, inner)
        elif inner.type_name == "list":
            self.put(into.setdefault(first, [{}])[0], inner.member, rest, name, value)
        else:
            self.put(into.setdefault(first, {}), inner, rest, name, value)

    def convert(self, name: str, value: Any, shape: Shape) -> Any:
        match shape.type_name, value:
            case "structure", dict():
                members: Values = {}
                for key, inner in value.items():
                    path = _target(self._call, f"{name}.{key}", shape).split(".")
                    self.put(members, shape, path, f"{name}.{key}", inner)
                return members
            case "list", dict() if shape.member.type_name == "structure":
                key_name, value_name = shape.member.members  # tags and dimensions: a list of two members
                self.values += len(value)
                return [{key_name: key, value_name: text} for key, text in value.items()]
            case "list", _:
                # Terraform writes a list that may have one entry only as that entry.
                entries = value if isinstance(value, list) else [value]
                return [self.convert(name, entry, shape.member) for entry in entries]
            case "map", dict():
                return {key: self.convert(name, inner, shape.value) for key, inner in value.items()}
        self.values += 1
        return value


def _target(call: Call, name: str, shape: Shape) -> str:
    if name in call.members:
        return call.members[name]
    own = name.rpartition(".")[2].lower()
    members: dict[str, str] = {member.lower(): member for member in shape.members}
    for candidate in (own, own.removesuffix("s"), own.removesuffix("es")):
        if candidate in members:
            return members[candidate]
    raise _UnmappedError(name)


def _refused(value: Any, shape: Shape, name: str) -> list[str]:
    validator, errors = _Validator(), ValidationErrors()
    validator._validate(value, shape, errors, name)  # noqa: SLF001  `validate` takes no name
    return [*errors.generate_report().splitlines(), *validator.refused]


def _member(shape: Shape, path: list[str]) -> Shape:
    for name in path:
        entry = shape.member if shape.type_name == "list" else shape
        shape = entry.value if entry.type_name == "map" else entry.members[name]
    return shape


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _shape(model: Any, name: str) -> Shape:
    return model.operation_model(name).input_shape if name in model.operation_names else model.shape_for(name)
