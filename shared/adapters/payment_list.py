"""The list of all payments, newest first, and the operators' queue, oldest first, a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.adapters import dynamodb
from shared.adapters.payment_batches import read_items
from shared.adapters.queries import query, query_index
from shared.domain.ids import reservation_id_of
from shared.settings import settings

type Row = tuple[dict[str, Any], dict[str, Any]]

# The hash key: every payment is in euros, and only payments have the attribute.
CURRENCY = "EUR"
KEYS = 10_000  # a page of keys alone, a megabyte
STEP = 50  # a BatchGetItem reads 100 items: 50 payments and their reservations


@dataclass(frozen=True)
class PaymentList:
    """An index over payments, sorted by the time `by`."""

    index: str
    by: str
    newest_first: bool

    def key(self, item: Mapping[str, Any]) -> "ListKey":
        return ListKey(payment_id=item["payment_id"], at=item[self.by])


ALL = PaymentList("created_at-index", "created_at", newest_first=True)
QUEUE = PaymentList("attention-index", "attention_since", newest_first=False)


@dataclass(frozen=True)
class ListKey:
    """Where in a list a payment is; `at` is ISO 8601."""

    payment_id: str
    at: str


def read_step(of: PaymentList, *, start: str, end: str, after: ListKey | None) -> tuple[list[Row], ListKey | None]:
    """The next 50 payments with their reservations (empty if deleted), and the key to go on with.

    `start` and `end` limit the time by which the list is sorted. Two requests, however many payments there are.
    """
    begin = {}
    if after is not None:
        key = {"payment_id": after.payment_id, of.by: after.at, "currency": CURRENCY}
        begin = {"ExclusiveStartKey": dynamodb.serialize(key)}
    answer = query(
        TableName=settings().payments_table,
        IndexName=of.index,
        KeyConditionExpression=f"currency = :currency AND {of.by} BETWEEN :start AND :end",
        ExpressionAttributeValues=dynamodb.serialize({":currency": CURRENCY, ":start": start, ":end": end}),
        ScanIndexForward=not of.newest_first,
        Limit=STEP,
        **begin,
    )
    keys = [dynamodb.from_item(item) for item in answer["Items"]]
    last = answer.get("LastEvaluatedKey")
    return read_rows([key["payment_id"] for key in keys]), None if last is None else of.key(dynamodb.from_item(last))


def read_since(created_at: str) -> Iterator[dict[str, Any]]:
    """Every payment that was created then or later, oldest first, a hundred with one request."""
    keys = query_index(
        settings().payments_table,
        ALL.index,
        condition="currency = :currency AND created_at >= :start",
        values={":currency": CURRENCY, ":start": created_at},
        page=KEYS,
    )
    return read_items(key["payment_id"] for key in keys)


def read_rows(ids: Sequence[str]) -> list[Row]:
    """The payments that exist, with their reservations, in one request; at most 50."""
    if not ids:
        return []
    found = dynamodb.batch_get(
        {
            settings().payments_table: [{"payment_id": payment_id} for payment_id in ids],
            settings().reservations_table: [{"reservation_id": reservation_id_of(payment_id)} for payment_id in ids],
        }
    )
    payments = {item["payment_id"]: item for item in found[settings().payments_table]}
    reservations = {item["reservation_id"]: item for item in found[settings().reservations_table]}
    return [
        (payments[payment_id], reservations.get(reservation_id_of(payment_id), {}))
        for payment_id in ids
        if payment_id in payments
    ]
