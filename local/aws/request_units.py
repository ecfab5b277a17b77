"""What DynamoDB charges for each request: read and write units by the sizes of items, as AWS documents them.

The items are those of moto. Units of a write are by the larger of the item before and after it; an index entry that
appears, moves or vanishes is written as well.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import DynamoType, Table, dynamodb_backends

READ_UNIT, WRITE_UNIT = 4096, 1024  # bytes
READS = {"BatchGetItem", "GetItem", "Query"}
WRITES = {"PutItem", "TransactWriteItems", "UpdateItem"}
_NESTED = 3  # bytes that a map or a list needs itself, besides one for each of its members

type Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class MeteredRequest:
    """A request with its units; of those it writes, `index` are for index entries and `audit` for audit entries.

    `what` names its operations and tables. `partitions`: units by table, or table/index, and key.
    """

    caller: str
    operation: str
    what: str
    read: float = 0
    write: float = 0
    index: float = 0
    audit: float = 0
    partitions: Mapping[tuple[str, str], float] = field(default_factory=dict)


class Meter:
    """Notes the requests between `start` and `stop`, unless another DynamoDB than moto's serves them."""

    def __init__(self) -> None:
        self._on = False
        self._requests: list[MeteredRequest] = []
        self._note = self._requests.append

    def start(self, note: Callable[[MeteredRequest], None] | None = None) -> None:
        """Give each request to `note`, or keep it for `stop`."""
        self._on, self._requests = True, []
        self._note = note or self._requests.append

    def stop(self) -> list[MeteredRequest]:
        self._on = False
        return self._requests

    def measure[Answer](
        self, region: str, caller: str, operation: str, body: str, serve: Callable[[], Answer]
    ) -> Answer:
        """Serve a request while nobody else changes items, and note its units."""
        if not self._on or operation not in READS | WRITES:
            return serve()
        tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][region].tables
        request = json.loads(body)
        if operation in WRITES:
            operations = [*_operations(operation, request)]
            before = [_stored(tables[of["TableName"]], of) for _, of in operations]
            answer = serve()
            self._note(_write(caller, operation, tables, operations, before))
            return answer
        answer = serve()
        self._note(_read(caller, operation, tables, request, answer))
        return answer


meter = Meter()


def _operations(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if operation != "TransactWriteItems":
        yield operation.removesuffix("Item"), request
        return
    for one in request["TransactItems"]:
        yield from one.items()


def _write(
    caller: str,
    operation: str,
    tables: Mapping[str, Table],
    operations: Sequence[tuple[str, Mapping[str, Any]]],
    before: Sequence[Item],
) -> MeteredRequest:
    times = 2 if operation == "TransactWriteItems" else 1
    units = index = audit = 0
    partitions: defaultdict[tuple[str, str], float] = defaultdict(float)
    for (_, of), old in zip(operations, before, strict=True):
        table = tables[of["TableName"]]
        new = _stored(table, of)
        own = times * max(1, ceil(max(item_size(old), item_size(new)) / WRITE_UNIT))
        partitions[table.name, _text((new or old)[table.hash_key_attr])] += own
        entries = 0
        for each in table.global_indexes:
            for item in _index_writes(old, new, each.schema_key_attrs):
                entries += 1
                partitions[f"{table.name}/{each.name}", _text(item[each.schema_key_attrs[0]])] += 1
        units, index = units + own + entries, index + entries
        audit += own if table.name.endswith("-audit") else 0
    names = ", ".join(f"{kind} {_short(of['TableName'])}" for kind, of in operations)
    return MeteredRequest(caller, operation, names, write=units, index=index, audit=audit, partitions=partitions)


def _index_writes(before: Item, after: Item, keys: Sequence[str]) -> list[Item]:
    """The items, before and after, whose entry is written; it holds keys alone, so that none is larger than a unit."""
    old, new = ([item.get(key) for key in keys] for item in (before, after))
    if old == new:
        return []
    return [item for item, entry in ((before, old), (after, new)) if None not in entry]


def _text(typed: Mapping[str, Any]) -> str:
    return str(next(iter(typed.values())))


def _read(
    caller: str, operation: str, tables: Mapping[str, Table], request: Mapping[str, Any], answer: Any
) -> MeteredRequest:
    if operation == "Query":
        found = (answer if isinstance(answer, dict) else json.loads(answer[2])).get("Items", [])
        consistency = 1.0 if request.get("ConsistentRead") else 0.5
        units = consistency * max(1, ceil(sum(map(item_size, found)) / READ_UNIT))
        part = f"{request['TableName']}/{request.get('IndexName', '')}".rstrip("/")
        key = _text(next(iter(request["ExpressionAttributeValues"].values())))
        what = _short(request["TableName"])
        return MeteredRequest(caller, operation, what, read=units, partitions={(part, key): units})
    wanted = request["RequestItems"] if operation == "BatchGetItem" else {request["TableName"]: request}
    partitions: defaultdict[tuple[str, str], float] = defaultdict(float)
    for table, of in wanted.items():
        for key in of.get("Keys") or [of["Key"]]:
            size = item_size(_stored(tables[table], {"Key": key}))
            consistency = 1.0 if of.get("ConsistentRead") else 0.5
            partitions[table, _text(key[tables[table].hash_key_attr])] += consistency * max(1, ceil(size / READ_UNIT))
    what = ", ".join(_short(table) for table in wanted)
    return MeteredRequest(caller, operation, what, read=sum(partitions.values()), partitions=partitions)


def _short(table: str) -> str:
    return table.split("-", 2)[-1]


def _stored(table: Table, operation: Mapping[str, Any]) -> Item:
    """The item that an operation is about, as it is stored now; empty if there is none."""
    key = operation.get("Key") or operation["Item"]
    item = table.items.get(DynamoType(key[table.hash_key_attr]))
    if item is not None and table.range_key_attr is not None:
        item = item.get(DynamoType(key[table.range_key_attr]))
    if item is None:
        return {}
    stored: Item = item.to_json()["Attributes"]
    return stored


def item_size(item: Item) -> int:
    """Bytes: of the names and of the values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(typed: Mapping[str, Any]) -> int:
    ((kind, value),) = typed.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return _number_size(value)
        case "BOOL" | "NULL":
            return 1
        case "M":
            return _NESTED + sum(1 + len(name.encode()) + _value_size(inner) for name, inner in value.items())
        case "L":
            return _NESTED + sum(1 + _value_size(inner) for inner in value)
        case "SS":
            return sum(len(member.encode()) for member in value)
    raise ValueError(f"the size of type {kind} is not known")


def _number_size(text: str) -> int:
    """One byte for two digits, without leading and trailing zeros, and one more; another one for the sign."""
    sign, digits, _ = Decimal(text).normalize().as_tuple()
    return ceil(len(digits) / 2) + 1 + sign
