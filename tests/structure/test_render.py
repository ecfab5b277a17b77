"""From a definition in YAML to the JSON that is deployed."""

import pytest

from statemachines.render import fill, parse


def test_placeholders_are_filled_at_any_depth_and_inside_text() -> None:
    definition = {"a": ["x", {"b": "${Table}"}], "c": "{% '${Table}' & $x %}"}
    assert fill(definition, {"Table": "payments"}) == {"a": ["x", {"b": "payments"}], "c": "{% 'payments' & $x %}"}


def test_a_number_stays_a_number_where_the_placeholder_stands_alone() -> None:
    definition = {"t": "${Seconds}", "s": "{% ${Seconds} * 2 %}"}
    assert fill(definition, {"Seconds": 30}) == {"t": 30, "s": "{% 30 * 2 %}"}


def test_values_are_not_read_as_json_or_as_placeholders() -> None:
    assert fill({"a": "${A}"}, {"A": '"\\${B}'}) == {"a": '"\\${B}'}


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(ValueError, match="placeholders without a value: A, B"):
        fill({"a": "${B}", "b": "${A}${C}"}, {"C": "c"})


def test_an_unused_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="values without a placeholder: B"):
        fill({"a": "${A}"}, {"A": "a", "B": "b"})


def test_words_and_dates_stay_text() -> None:
    """YAML 1.1 reads these words as booleans and the last one as a date."""
    text = "[yes, no, on, off, Yes, True, 2026-11-24]"
    assert parse(f"a: {text}\nb: [true, false, 1, 2.0]") == {
        "a": text.strip("[]").split(", "),
        "b": [True, False, 1, 2.0],
    }


def test_a_key_that_occurs_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="keys that occur twice: Next"):
        parse("A: {Next: B, Next: C}")


def test_shared_parts_are_merged_and_not_deployed() -> None:
    text = "x-shared: [&shared {a: 1, b: 2}]\none: {<<: *shared, b: 3}\ntwo: *shared\nthree: *shared"
    definition = parse(text)
    assert definition == {"one": {"a": 1, "b": 3}, "two": {"a": 1, "b": 2}, "three": {"a": 1, "b": 2}}
    assert definition["two"] is not definition["three"]
