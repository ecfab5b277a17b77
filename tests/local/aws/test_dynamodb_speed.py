"""DynamoDB: what is made fast gives moto's answers."""

import inspect
from typing import Any

import pytest
from moto.dynamodb.models.table import Table

from local.aws.patches import dynamodb_speed

DAY, AT, NUMBER = {":day": {"S": "d1"}}, {":at": {"S": "t2"}}, {":number": {"N": "1"}}


@pytest.fixture
def stored(dynamodb: Any) -> Any:
    """Bookings with indexes of a string and of a number, which some are not in, and audit entries of payments."""
    keys = {"id": "S", "day": "S", "at": "S", "number": "N"}
    indexes = {"day-index": ("day", "at"), "number-index": ("number",)}
    dynamodb.create_table(
        TableName="bookings",
        KeySchema=_schema("id"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": name, "KeySchema": _schema(*of), "Projection": {"ProjectionType": "ALL"}}
            for name, of in indexes.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.create_table(
        TableName="audit",
        KeySchema=_schema("id", "at"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "at")],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(24):
        item = {"id": {"S": f"b{number * 7 % 24}"}, "at": {"S": f"t{number % 4}"}}
        dynamodb.put_item(TableName="audit", Item={**item, "id": {"S": f"b{number % 3}"}, "at": {"S": f"t{number}"}})
        if number % 3:
            item |= {"day": {"S": f"d{number % 2}"}, "number": {"N": ("1", "1.0", "2")[number % 3]}}
        if number % 8 == 7:
            del item["at"]
        dynamodb.put_item(TableName="bookings", Item=item)
    return dynamodb


def _schema(*keys: str) -> list[dict[str, str]]:
    return [{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)]


@pytest.mark.parametrize("order", [{}, {"ScanIndexForward": False}], ids=["forward", "backward"])
@pytest.mark.parametrize("limit", [{}, {"Limit": 2}], ids=["at once", "in pages"])
@pytest.mark.parametrize(
    ("found", "table", "index", "condition", "values"),
    [
        (6, "bookings", "day-index", "#day = :day", DAY),
        (2, "bookings", "day-index", "#day = :day AND #at > :at", DAY | AT),
        (0, "bookings", "day-index", "#day = :day", {":day": {"S": "d9"}}),
        (8, "bookings", "number-index", "#number = :number", NUMBER),
        (1, "bookings", None, "#id = :id", {":id": {"S": "b7"}}),
        (0, "bookings", None, "#id = :id", {":id": {"S": "b99"}}),
        (8, "audit", None, "#id = :id", {":id": {"S": "b1"}}),
        (5, "audit", None, "#id = :id AND begins_with(#at, :at)", {":id": {"S": "b1"}, ":at": {"S": "t1"}}),
    ],
)
def test_a_query_answers_as_moto_does(
    stored: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    found: int,
    table: str,
    index: str | None,
    condition: str,
    values: dict[str, Any],
    limit: dict[str, Any],
    order: dict[str, Any],
) -> None:
    query = {
        "TableName": table,
        **({"IndexName": index} if index else {}),
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {name.replace(":", "#"): name[1:] for name in values},
        "ExpressionAttributeValues": values,
    }

    def pages() -> list[Any]:
        answers = stored.get_paginator("query").paginate(**query, **limit, **order)
        return [{**answer, "ResponseMetadata": None} for answer in answers]

    answered = pages()
    assert sum(answer["Count"] for answer in answered) == found
    monkeypatch.setattr(Table, "query", dynamodb_speed._query.original)
    assert answered == pages()


def test_moto_still_sorts_the_whole_table_for_a_query() -> None:
    assert "for item in self.all_items()" in inspect.getsource(dynamodb_speed._query.original)
