"""The DynamoDB client, the update builder, and the one place that translates DynamoDB's errors.

Contention, throttling and lost answers become StoreBusy. A condition that did not hold becomes False, so that the
caller reads again. Any other error is a bug and is raised as it is.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from shared.domain.errors import StoreBusy
from shared.domain.models import to_item
from shared.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Every other code is a defect of ours and is raised as it is.
BUSY: frozenset[str] = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


_serialize = TypeSerializer().serialize


_deserialize = TypeDeserializer().deserialize


@functools.cache
def client() -> "DynamoDBClient":
    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )


def query_index(table: str, index: str, *, key: str, condition: str, values: dict[str, str]) -> Iterator[str]:
    """The `key` of every item that the index lists; `#status` in the condition is the attribute `status`."""
    request: dict[str, Any] = {
        "TableName": table,
        "IndexName": index,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": serialize(values),
    }
    if "#status" in condition:
        request["ExpressionAttributeNames"] = {"#status": "status"}
    while True:
        answer = call_dynamodb(lambda: client().query(**request))
        for item in answer["Items"]:
            yield from_item(item)[key]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


class UpdateBuilder:
    """An update expression in the making. Every name is aliased, so that none can be a reserved word."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._set: list[str] = []
        self._remove: list[str] = []
        self._add: list[str] = []
        self._conditions: list[str] = []

    @property
    def empty(self) -> bool:
        return not (self._set or self._remove or self._add)

    def set(self, path: str, value: Any) -> None:
        self._set.append(f"{self._path(path)} = {self._value(value)}")

    def default(self, path: str, value: Any) -> None:
        """Set what is not there yet."""
        alias = self._path(path)
        if not any(known.startswith(f"{alias} = ") for known in self._set):
            self._set.append(f"{alias} = if_not_exists({alias}, {self._value(value)})")

    def increase(self, path: str, by: int) -> None:
        alias = self._path(path)
        self._set.append(f"{alias} = if_not_exists({alias}, {self._value(0)}) + {self._value(by)}")

    def add(self, path: str, member: str) -> None:
        """Into a set of strings."""
        self._add.append(f"{self._path(path)} {self._value({member})}")

    def remove(self, path: str) -> None:
        self._remove.append(self._path(path))

    def require(self, template: str, *paths: str, value: Any = None) -> None:
        """Add a condition; each `{}` is a path in turn, the last one the value where there is one."""
        parts = [self._path(path) for path in paths]
        if value is not None:
            parts.append(self._value(value))
        self._conditions.append(f"({template.format(*parts)})")

    def condition(self) -> dict[str, Any]:
        expression = {"ConditionExpression": " AND ".join(self._conditions), "ExpressionAttributeNames": self._names}
        return {**expression, "ExpressionAttributeValues": serialize(self._values)} if self._values else expression

    def expression(self) -> dict[str, Any]:
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


def update_payment_item(payment_id: str, changes: UpdateBuilder) -> bool:
    """Write, and say whether the condition held."""
    try:
        call_dynamodb(
            lambda: client().update_item(
                TableName=settings().payments_table, Key=serialize({"payment_id": payment_id}), **changes.expression()
            )
        )
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def set_differences(changes: UpdateBuilder, path: str, before: BaseModel, after: BaseModel) -> None:
    """Write what has changed only: others write their own fields of the same entry at the same time."""
    old, new = to_item(before), to_item(after)
    for name, value in new.items():
        if value != old.get(name):
            changes.set(f"{path}.{name}", value)
    for name in old.keys() - new.keys():
        changes.remove(f"{path}.{name}")


def transact(operations: Sequence[Any]) -> bool:
    """Write all or nothing, and say whether the conditions held.

    Only reasons that are all about conditions say no for certain; anything else is StoreBusy.
    """
    try:
        call_dynamodb(lambda: client().transact_write_items(TransactItems=operations))
    except ClientError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])}
        if reasons - {"None", "ConditionalCheckFailed"} or "ConditionalCheckFailed" not in reasons:
            raise StoreBusy(f"transaction cancelled: {sorted(reasons)}") from error
        return False
    return True


def batch_get(keys: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    wanted: Any = {
        table: {"Keys": [serialize(key) for key in of], "ConsistentRead": True} for table, of in keys.items()
    }
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in keys}
    for _ in range(3):
        request = wanted
        answer = call_dynamodb(lambda request=request: client().batch_get_item(RequestItems=request))
        for table, items in answer["Responses"].items():
            found[table] += [from_item(item) for item in items]
        wanted = answer.get("UnprocessedKeys")
        if not wanted:
            return found
    raise StoreBusy("keys left unprocessed")


def call_dynamodb(call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if error_code(error) in BUSY:
            raise StoreBusy(error_code(error)) from error
        raise
    except BotoCoreError as error:
        raise StoreBusy(type(error).__name__) from error


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def serialize(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _integers(_deserialize(value)) for name, value in item.items()}


def _integers(value: Any) -> Any:
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise ValueError(f"{value} is not a whole number")
        return int(value)
    if isinstance(value, dict):
        return {name: _integers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_integers(inner) for inner in value]
    return value
