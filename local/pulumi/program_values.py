"""The values that a Pulumi program sends: how they arrive, and which outputs the local stack does not provide.

An output that no resource type provides would be None in the program, and vanish silently from whatever uses it. Here
it is a marker text instead, and `refuse_missing` stops the deployment wherever the marker turns up.
"""

import functools
import importlib
import json
import re
import threading
from typing import Any

import pulumi
from pulumi import _types as pulumi_types

from local.pulumi.resources.resource_type import DeployError, Values

_MISSING = re.compile(r"<missing ([^>]+)>")

# pulumi_aws creates its modules when they are first used, and shows half of one to a second thread.
_import_lock = threading.Lock()


def missing_outputs(type_: str) -> Values:
    """A marker for each output that the type's class declares as text."""
    with _import_lock:
        return _missing_outputs(type_)


@functools.cache
def _missing_outputs(type_: str) -> Values:
    module, name = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", type_).groups()  # type: ignore[union-attr]
    class_ = getattr(importlib.import_module(f"pulumi_aws.{'lambda_' if module == 'lambda' else module}"), name)
    return {
        name: f"<missing {type_}.{name}>"
        for name, declared in pulumi_types.resource_types(class_).items()
        if declared is str
    }


def refuse_missing(where: str, values: Values) -> None:
    """Raises DeployError where a value is, or contains, an output that the local stack does not provide."""
    if missing := _MISSING.search(json.dumps(values, default=str)):
        raise DeployError(f"{where} uses {missing[1]}, which the local stack does not provide")


def unwrap(value: Any) -> Any:
    """The value with secrets unwrapped, and with the integers that the wire turned into floats."""
    match value:
        case pulumi.Output():
            raise DeployError("an unresolved output arrived at the engine")
        case {"4dabf18193072939515e22adb298388d": _, "value": secret}:
            return unwrap(secret)
        case dict():
            return {key: unwrap(item) for key, item in value.items()}
        case list():
            return [unwrap(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
