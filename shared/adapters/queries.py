"""Queries of DynamoDB: one page, or every item, a page at a time as it is needed."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.adapters.dynamodb import Key, call, client, from_item, serialize

INDEX_PAGE = 100  # items that are read from an index at once


def query(**request: Any) -> Any:
    """One page of a query, as DynamoDB answers it."""
    return call(lambda: client().query(**request))


def query_items(table: str, key: Key) -> Iterator[dict[str, Any]]:
    """Every item with this hash key, read consistently, in order."""
    ((name, value),) = key.items()
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": f"{name} = :key",
        "ExpressionAttributeValues": serialize({":key": value}),
        "ConsistentRead": True,
    }
    while True:
        answer = query(**request)
        for item in answer["Items"]:
            yield from_item(item)
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def query_index(
    table: str, index: str, *, condition: str, values: Mapping[str, str], page: int = INDEX_PAGE
) -> Iterator[dict[str, Any]]:
    """The keys of every item that the index lists, in order; `#status` in the condition means the attribute `status`.

    A page of so many items is read when it is needed.
    """
    request = _index_query(table, index, condition, values)
    while True:
        answer = query(**request, Limit=page)
        for item in answer["Items"]:
            yield from_item(item)
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def count_in_index(table: str, index: str, *, condition: str, values: Mapping[str, str]) -> int:
    """How many items the index lists, at most those of the first megabyte, which are thousands."""
    request = _index_query(table, index, condition, values)
    return int(query(**request, Select="COUNT")["Count"])


def _index_query(table: str, index: str, condition: str, values: Mapping[str, str]) -> Any:
    request: dict[str, Any] = {
        "TableName": table,
        "IndexName": index,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": serialize(values),
    }
    if "#status" in condition:
        request["ExpressionAttributeNames"] = {"#status": "status"}
    return request
