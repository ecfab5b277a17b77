"""Request parameters: Stripe's form encoding, checked against the SDK's own parameter types.

A parameter that the SDK's types do not have is unknown to Stripe too. One that they have but the fake does not support
is refused by the module of the object, never ignored.
"""

import re
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NotRequired, Required

from stripe import RequestOptions
from typing_extensions import is_typeddict

from local.fake_stripe.stripe_errors import Json, ParameterError

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_INTEGER = re.compile(r"-?\d{1,18}")
_METADATA_KEYS, _METADATA_KEY_LENGTH, _METADATA_VALUE_LENGTH = 50, 40, 500


def decode(pairs: Iterable[tuple[str, str]]) -> Json:
    """`a[b]=1&c[0]=2` as nested dictionaries. Lists are dictionaries with numbers as keys until `check`."""
    root: Json = {}
    for key, value in pairs:
        match = _KEY.match(key)
        if match is None:
            raise ParameterError(f"Invalid parameter name: {key}", param=key)
        names = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        target = root
        for name in names[:-1]:
            # `a[]=x&a[]=y` is numbered in order.
            target = target.setdefault(name or str(len(target)), {})
            if not isinstance(target, dict):
                raise ParameterError(f"Invalid object: {key}", param=key)
        target[names[-1] or str(len(target))] = value
    return root


def check(given: Mapping[str, Any], params: Any) -> Json:
    """The typed parameters; `params` is a TypedDict of the SDK. Raises ParameterError as Stripe would respond."""
    checked: Json = _typed_dict(given, params, "")
    return checked


@cache
def _hints(params: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of the parameters by name, and the names of the required ones."""
    # The SDK's own options are declared among the parameters. They are never sent, and their types do not resolve.
    own = {name: hint for name, hint in params.__annotations__.items() if name not in RequestOptions.__annotations__}
    namespace = type(params.__name__, (), {"__annotations__": own, "__module__": params.__module__})
    hints = typing.get_type_hints(namespace, include_extras=True)
    required = frozenset(name for name, hint in hints.items() if typing.get_origin(hint) is not NotRequired)
    return {
        name: typing.get_args(hint)[0] if typing.get_origin(hint) in (NotRequired, Required) else hint
        for name, hint in hints.items()
    }, required


def _typed_dict(given: Any, params: Any, path: str) -> Json:
    if not isinstance(given, dict):
        raise ParameterError("Invalid object", param=path)
    hints, required = _hints(params)
    if unknown := [_join(path, name) for name in given if name not in hints]:
        plural = "s" if len(unknown) > 1 else ""
        raise ParameterError(
            f"Received unknown parameter{plural}: {', '.join(unknown)}", code="parameter_unknown", param=unknown[0]
        )
    for name in sorted(required - given.keys()):
        raise ParameterError(
            f"Missing required param: {_join(path, name)}.", code="parameter_missing", param=_join(path, name)
        )
    return {name: _value(value, hints[name], _join(path, name)) for name, value in given.items()}


def _value(given: Any, hint: Any, path: str) -> Any:
    if is_typeddict(hint):
        return _typed_dict(given, hint, path)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(given, args, path)
    if origin is typing.Literal:
        return _choice(given, args, path)
    if origin is list:
        return _list(given, args[0], path)
    if origin is dict or hint is dict or getattr(origin or hint, "__name__", "") == "UntypedStripeObject":
        return _metadata(given, path)
    if not isinstance(given, str):
        raise ParameterError(
            f"Invalid {'string' if hint is str else getattr(hint, '__name__', hint)}: {given}", param=path
        )
    return _scalar(given, hint, path)


def _union(given: Any, args: tuple[Any, ...], path: str) -> Any:
    """The member that matches the value; an open enumeration (`Literal | str`) is a closed one, as at Stripe."""
    choices = [arg for arg in args if typing.get_origin(arg) is typing.Literal]
    if given == "" and any("" in typing.get_args(choice) for choice in choices):
        return ""
    if isinstance(given, str):
        named = [choice for choice in choices if typing.get_args(choice) != ("",)]
        scalars = [arg for arg in args if arg in (int, bool, str, Decimal, float)]
        if named and (not scalars or scalars == [str]):
            return _choice(given, tuple(name for choice in named for name in typing.get_args(choice)), path)
        if scalars:
            return _value(given, scalars[0], path)
    nested = [arg for arg in args if arg not in (int, bool, str, Decimal, float, types.NoneType) and arg not in choices]
    if not nested:
        raise ParameterError(f"Invalid string: {given}", param=path)
    return _value(given, nested[0], path)


def _choice(given: Any, allowed: tuple[Any, ...], path: str) -> str:
    if given not in allowed:
        *most, last = sorted(allowed)
        listed = f"{', '.join(most)}, or {last}" if most else last
        raise ParameterError(f"Invalid {path}: must be one of {listed}", param=path)
    return str(given)


def _list(given: Any, item: Any, path: str) -> list[Any]:
    if not isinstance(given, dict) or not all(name.isdigit() for name in given):
        raise ParameterError("Invalid array", param=path)
    return [_value(given[name], item, f"{path}[{name}]") for name in sorted(given, key=int)]


def _metadata(given: Any, path: str) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise ParameterError("Invalid hash", param=path)
    if len(given) > _METADATA_KEYS:
        raise ParameterError(f"Metadata may have up to {_METADATA_KEYS} keys", param=path)
    for name, value in given.items():
        if len(name) > _METADATA_KEY_LENGTH:
            raise ParameterError(
                f"Metadata keys can have up to {_METADATA_KEY_LENGTH} characters; {name} has {len(name)}.", param=path
            )
        if len(value) > _METADATA_VALUE_LENGTH:
            limit = f"Metadata values can have up to {_METADATA_VALUE_LENGTH} characters"
            raise ParameterError(
                f"{limit}, but you passed in a value that is {len(value)} characters.", param=f"{path}[{name}]"
            )
    # An empty value unsets the key.
    return {name: value for name, value in given.items() if value}


def _scalar(given: str, hint: Any, path: str) -> str | int | bool | float:
    if hint is bool:
        if given not in ("true", "false"):
            raise ParameterError(f"Invalid boolean: {given}", param=path)
        return given == "true"
    if hint is int:
        if not _INTEGER.fullmatch(given):
            raise ParameterError(f"Invalid integer: {given}", code="parameter_invalid_integer", param=path)
        return int(given)
    if hint in (Decimal, float):
        try:
            return float(Decimal(given))
        except InvalidOperation:
            raise ParameterError(f"Invalid decimal: {given}", param=path) from None
    if hint is not str:
        raise TypeError(f"{path} has a type that is not supported: {hint}")
    if not given:
        unset = f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter"
        raise ParameterError(f"{unset}; however '{path}' cannot be unset.", code="parameter_invalid_empty", param=path)
    return given


def _join(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name
