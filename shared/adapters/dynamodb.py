"""DynamoDB: the client, the update builder, and the requests that the other adapters are made of.

Contention, throttling and lost answers become StoreBusy. A condition that did not hold becomes False, so that the
caller reads again. Any other error is a defect of ours and is raised unchanged.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from pydantic import BaseModel

from shared.adapters import aws
from shared.adapters.aws import error_code
from shared.domain.errors import StoreBusy
from shared.domain.models import iso
from shared.start_up import at_start

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Key = Mapping[str, str]

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


@functools.cache
def client() -> "DynamoDBClient":
    """The client, made once per container."""
    return boto3.client("dynamodb", config=aws.CLIENT_CONFIG)


@at_start
def connect_to_dynamodb() -> None:
    aws.open_connection(client())


class UpdateBuilder:
    """Collects the parts of an update and its conditions; a `path` uses dots for what is inside a map.

    Every name is aliased, so that reserved words are safe.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._set: list[str] = []
        self._remove: list[str] = []
        self._add: list[str] = []
        self._conditions: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether the update would change nothing."""
        return not (self._set or self._remove or self._add)

    def set(self, path: str, value: Any) -> Self:
        self._set.append(f"{self._path(path)} = {self._value(value)}")
        return self

    def set_all(self, **attributes: Any) -> Self:
        """Set several attributes of the item itself."""
        for name, value in attributes.items():
            self.set(name, value)
        return self

    def set_default(self, path: str, value: Any) -> Self:
        """Set an attribute only if it does not exist."""
        alias = self._path(path)
        if not any(known.startswith(f"{alias} = ") for known in self._set):
            self._set.append(f"{alias} = if_not_exists({alias}, {self._value(value)})")
        return self

    def set_changed(self, path: str, before: BaseModel, after: BaseModel) -> Self:
        """Write only the fields that differ, since others write their own fields of the same entry."""
        old, new = to_item(before), to_item(after)
        for name, value in new.items():
            if value != old.get(name):
                self.set(f"{path}.{name}", value)
        return self.remove(*[f"{path}.{name}" for name in sorted(old.keys() - new.keys())])

    def increase(self, path: str, by: int) -> Self:
        """Add to a number; a missing one counts as 0."""
        alias = self._path(path)
        self._set.append(f"{alias} = if_not_exists({alias}, {self._value(0)}) + {self._value(by)}")
        return self

    def add(self, path: str, member: str) -> Self:
        """Add a member to a set of strings."""
        self._add.append(f"{self._path(path)} {self._value({member})}")
        return self

    def remove(self, *paths: str) -> Self:
        self._remove += [self._path(path) for path in paths]
        return self

    def require(self, path: str, value: Any) -> Self:
        """Require that an attribute has this value."""
        return self.require_that("{} = {}", path, value=value)

    def require_exists(self, path: str) -> Self:
        return self.require_that("attribute_exists({})", path)

    def require_missing(self, path: str) -> Self:
        return self.require_that("attribute_not_exists({})", path)

    def require_missing_or(self, path: str, value: Any) -> Self:
        """Require that an attribute does not exist or has this value."""
        return self.require_that("attribute_not_exists({}) OR {} = {}", path, path, value=value)

    def require_that(self, template: str, *paths: str, value: Any = None) -> Self:
        """Add a condition: each `{}` stands for the next path, the last one for `value` if there is one."""
        operands = [self._path(path) for path in paths]
        if value is not None:
            operands.append(self._value(value))
        self._conditions.append(f"({template.format(*operands)})")
        return self

    def condition(self) -> dict[str, Any]:
        """The request fields of the conditions alone; DynamoDB refuses one that is empty."""
        fields: dict[str, Any] = {"ExpressionAttributeNames": self._names}
        if self._conditions:
            fields["ConditionExpression"] = " AND ".join(self._conditions)
        if self._values:
            fields["ExpressionAttributeValues"] = serialize(self._values)
        return fields

    def expression(self) -> dict[str, Any]:
        """The request fields of the update and its conditions."""
        update = "SET " + ", ".join(self._set) if self._set else ""
        if self._remove:
            update += " REMOVE " + ", ".join(self._remove)
        if self._add:
            update += " ADD " + ", ".join(self._add)
        return {"UpdateExpression": update.strip(), **self.condition()}

    def _path(self, path: str) -> str:
        aliases = []
        for name in path.split("."):
            alias = next((known for known, of in self._names.items() if of == name), f"#n{len(self._names)}")
            self._names[alias] = name
            aliases.append(alias)
        return ".".join(aliases)

    def _value(self, value: Any) -> str:
        alias = f":v{len(self._values)}"
        self._values[alias] = value
        return alias


def get_item(table: str, key: Key) -> dict[str, Any] | None:
    """Read an item consistently; None if it does not exist."""
    item = call(lambda: client().get_item(TableName=table, Key=serialize(key), ConsistentRead=True)).get("Item")
    return None if item is None else from_item(item)


def batch_get(keys: Mapping[str, Sequence[Key]]) -> dict[str, list[dict[str, Any]]]:
    """Read items of several tables consistently, in any order; those that do not exist are missing."""
    wanted: Any = {
        table: {"Keys": [serialize(key) for key in of], "ConsistentRead": True} for table, of in keys.items()
    }
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in keys}
    for _ in range(3):
        answer = call(functools.partial(client().batch_get_item, RequestItems=wanted))
        for table, items in answer["Responses"].items():
            found[table] += [from_item(item) for item in items]
        wanted = answer.get("UnprocessedKeys")
        if not wanted:
            return found
    raise StoreBusy("keys left unprocessed")


def update_item(table: str, key: Key, update: UpdateBuilder) -> bool:
    """Update an item; False if the condition did not hold."""
    return _write(lambda: client().update_item(TableName=table, Key=serialize(key), **update.expression()))


def put_item(table: str, item: Mapping[str, Any], *, condition: str, values: Mapping[str, str]) -> bool:
    """Write a whole item; False if the condition did not hold."""
    return _write(
        lambda: client().put_item(
            TableName=table,
            Item=serialize(item),
            ConditionExpression=condition,
            ExpressionAttributeValues=serialize(values),
        )
    )


def put_operation(table: str, item: Mapping[str, Any], *, key: str) -> dict[str, Any]:
    """A new item as one operation of a transaction; `key` is an attribute of its key."""
    condition = f"attribute_not_exists({key})"
    return {"Put": {"TableName": table, "Item": serialize(item), "ConditionExpression": condition}}


def update_operation(table: str, key: Key, update: UpdateBuilder) -> dict[str, Any]:
    """An update as one operation of a transaction."""
    return {"Update": {"TableName": table, "Key": serialize(key), **update.expression()}}


def check_operation(table: str, key: Key, update: UpdateBuilder) -> dict[str, Any]:
    """The conditions alone as one operation of a transaction."""
    return {"ConditionCheck": {"TableName": table, "Key": serialize(key), **update.condition()}}


def transact(operations: Sequence[Any]) -> bool:
    """Write all or nothing; False if a condition did not hold.

    Only if every reason is about a condition is the answer certain; anything else raises StoreBusy.
    """
    try:
        call(lambda: client().transact_write_items(TransactItems=operations))
    except ClientError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])}
        if reasons - {"None", "ConditionalCheckFailed"} or "ConditionalCheckFailed" not in reasons:
            raise StoreBusy(f"transaction cancelled: {sorted(reasons)}") from error
        return False
    return True


def _write(request: Callable[[], object]) -> bool:
    try:
        call(request)
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def call[Answer](request: Callable[[], Answer]) -> Answer:
    return aws.call(request, busy=aws.DYNAMODB_BUSY, error_type=StoreBusy)


def serialize(values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values as DynamoDB's typed values."""
    return {name: _serialize(value) for name, value in values.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as Python values. Whole numbers are int; others stay Decimal, which no attribute of ours accepts."""
    return {name: _integers(_deserialize(value)) for name, value in item.items()}


def _integers(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    if isinstance(value, dict):
        return {name: _integers(inner) for name, inner in value.items()}
    return [_integers(inner) for inner in value] if isinstance(value, list) else value


def to_item(model: BaseModel) -> dict[str, Any]:
    """A model as it is stored: with stored names, times as text, and without what is None."""
    return {name: _times_as_text(value) for name, value in model.model_dump(exclude_none=True, by_alias=True).items()}


def _times_as_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return {name: _times_as_text(inner) for name, inner in value.items()} if isinstance(value, dict) else value
