"""DynamoDB items as JSON and back."""

from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def to_stored(item: dict[str, Any]) -> dict[str, Any]:
    return {name: serialize(_to_stored(value)) for name, value in item.items()}


def _to_stored(value: Any) -> Any:
    """DynamoDB takes fractions as Decimal only."""
    match value:
        case float():
            return Decimal(str(value))
        case dict():
            return {name: _to_stored(member) for name, member in value.items()}
        case list():
            return [_to_stored(member) for member in value]
        case _:
            return value


def to_json(item: Any) -> dict[str, Any]:
    """The item with numbers as int or float, and sets as sorted lists."""
    return {name: _to_json(_deserialize(value)) for name, value in item.items()}


def _to_json(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case set():
            return sorted(_to_json(member) for member in value)
        case dict():
            return {name: _to_json(member) for name, member in value.items()}
        case list():
            return [_to_json(member) for member in value]
        case _:
            return value
