import json

import pytest

from statemachines.render import fill


def filled(states: object, **values: str | int) -> object:
    return json.loads(fill(json.dumps(states), values))


def test_placeholders_are_filled_at_any_depth_and_inside_text() -> None:
    states = {"a": ["x", {"b": "${Table}"}], "c": "{% '${Table}' & $x %}"}
    assert filled(states, Table="payments") == {"a": ["x", {"b": "payments"}], "c": "{% 'payments' & $x %}"}


def test_a_number_stays_one_where_the_placeholder_stands_alone() -> None:
    assert filled({"t": "${Seconds}", "s": "{% ${Seconds} * 2 %}"}, Seconds=30) == {"t": 30, "s": "{% 30 * 2 %}"}


def test_values_are_not_read_as_json_or_as_placeholders() -> None:
    assert filled({"a": "${A}"}, A='"\\${B}') == {"a": '"\\${B}'}


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(ValueError, match="placeholders without a value: A, B"):
        filled({"a": "${B}", "b": "${A}${C}"}, C="c")


def test_an_unused_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="values without a placeholder: B"):
        filled({"a": "${A}"}, A="a", B="b")
