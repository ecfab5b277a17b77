"""Tables of cases in YAML: each beside the test module that runs it, under the name of its test function.

A case has an id (unless its table is a list), a value for each parameter of the test, and perhaps the `defects` that
it shows to be impossible. A tag such as `!payment {status: expired}` calls a builder; `!now -5 s` is a time, and
`!span 30 min` a duration. Keys are text.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from statemachines.render import StrictLoader
from tests.harness import builders, payments_api_calls

UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


class _Loader(StrictLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002, FBT001, FBT002
        return {str(key): value for key, value in super().construct_mapping(node, deep=True).items()}


def _span(text: str) -> timedelta:
    """The sum of parts, as in `14 min 59 s`; the sign counts for all."""
    words = text.lstrip("+-").split()
    parts = {UNITS[unit]: float(number) for number, unit in zip(words[::2], words[1::2], strict=True)}
    return timedelta(**parts) * (-1 if text.startswith("-") else 1)


def add_tags(**tags: Callable[..., Any]) -> None:
    """Let tables call functions: with the mapping that follows, or the text or list."""
    for name, build in tags.items():
        _Loader.add_constructor(f"!{name}", partial(_built, build))


def _built(build: Callable[..., Any], loader: _Loader, node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return build(**loader.construct_mapping(node))
    if isinstance(node, yaml.SequenceNode):
        return build(loader.construct_sequence(node, deep=True))
    return build(loader.construct_scalar(node))


add_tags(
    now=lambda text: builders.NOW + _span(text),
    span=_span,
    long=lambda length: "x" * int(length),
    set=set,
    tuple=tuple,
    attempt=builders.attempt,
    awaited=payments_api_calls.awaited,
    booking=builders.booking,
    capture=builders.capture,
    closed=builders.closed,
    failed=payments_api_calls.failed,
    intent=builders.intent,
    opening=builders.opening,
    outcome=builders.outcome,
    paid=builders.paid,
    paying=builders.paying,
    payment=builders.payment,
    refund=builders.refund,
    reservation=builders.reservation,
    session=builders.session,
)


@cache
def read_tables(module: Path) -> dict[str, Any]:
    """Every table that is beside a test module, by its name."""
    return dict(_Loader(module.with_suffix(".yaml").read_text(encoding="utf-8")).get_single_data())


def in_table[Test: Callable[..., None]](name: str = "", **defaults: Any) -> Callable[[Test], Test]:
    """Run the test for each case of its table, or of another; `defaults` are what a case may leave out.

    A test with a parameter `case` gets all values of the case in a dict.
    """

    def parametrized(test: Test) -> Any:
        rows = read_tables(Path(test.__code__.co_filename))[name or test.__name__]
        ids, cases = (rows.keys(), rows.values()) if isinstance(rows, dict) else ([None] * len(rows), rows)
        whole, names, params = "case" in test.__annotations__, set[str](), []
        for id_, row in zip(ids, cases, strict=True):
            case = defaults | row
            marks = [pytest.mark.defect(*case.pop("defects"))] if "defects" in case else []
            names = names or case.keys()
            assert whole or case.keys() == names, f"{id_ or case}: has {set(case)}, not {set(names)}"
            params.append(pytest.param(*([case] if whole else [case[key] for key in names]), id=id_, marks=marks))
        return pytest.mark.parametrize("case" if whole else list(names), params)(test)

    return parametrized
