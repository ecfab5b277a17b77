"""The list of all payments, newest first, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.adapters import dynamodb
from shared.domain.ids import reservation_id_of
from shared.settings import settings

type Row = tuple[dict[str, Any], dict[str, Any]]

INDEX = "created_at-index"
# The hash key: every payment is in euros, and only payments have the attribute.
CURRENCY = "EUR"
STEP = 50  # a BatchGetItem reads 100 items: 50 payments and their reservations


@dataclass(frozen=True)
class ListKey:
    """Where in the list a payment is; `created_at` is ISO 8601."""

    payment_id: str
    created_at: str


def read_step(*, created_from: str, created_to: str, after: ListKey | None) -> tuple[list[Row], ListKey | None]:
    """The next 50 payments with their reservations (empty if deleted), and the key to go on with.

    Two requests, however many payments there are.
    """
    start = {} if after is None else {"ExclusiveStartKey": dynamodb.serialize(_stored(after))}
    answer = dynamodb.query(
        TableName=settings().payments_table,
        IndexName=INDEX,
        KeyConditionExpression="currency = :currency AND created_at BETWEEN :from AND :to",
        ExpressionAttributeValues=dynamodb.serialize({":currency": CURRENCY, ":from": created_from, ":to": created_to}),
        ScanIndexForward=False,
        Limit=STEP,
        **start,
    )
    keys = [dynamodb.from_item(item) for item in answer["Items"]]
    last = answer.get("LastEvaluatedKey")
    return read_rows([key["payment_id"] for key in keys]), None if last is None else list_key(dynamodb.from_item(last))


def list_key(item: Mapping[str, Any]) -> ListKey:
    return ListKey(payment_id=item["payment_id"], created_at=item["created_at"])


def _stored(key: ListKey) -> dict[str, str]:
    return {"payment_id": key.payment_id, "created_at": key.created_at, "currency": CURRENCY}


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
