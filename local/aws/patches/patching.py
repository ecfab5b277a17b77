"""How moto is patched: each replacement is declared where it is defined, and `apply` puts all of them in place."""

from collections.abc import Callable
from typing import Any, Protocol

_replacements: list[tuple[Any, str, Any]] = []


class Replacement(Protocol):
    """A function that replaces another one, which remains available as `original`."""

    original: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


def replaces(owner: Any, attribute: str) -> Callable[[Any], Replacement]:
    """Declare the decorated function as the replacement of `owner.attribute`."""

    def declare(function: Any) -> Replacement:
        replacement: Replacement = function
        replacement.original = getattr(owner, attribute)
        replace(owner, attribute, function)
        return replacement

    return declare


def replace(owner: Any, attribute: str, value: Any) -> None:
    """Declare `value` as the replacement of `owner.attribute`."""
    _replacements.append((owner, attribute, value))


def apply() -> None:
    """Put every declared replacement in place, once."""
    while _replacements:
        owner, attribute, value = _replacements.pop()
        setattr(owner, attribute, value)
