"""The index of payments that are due, and where the reconciler goes on with its other lists."""

from collections.abc import Iterator
from datetime import datetime

from shared.adapters import dynamodb
from shared.adapters.dynamodb import UpdateBuilder
from shared.adapters.queries import count_in_index, query_index
from shared.domain.models import iso
from shared.settings import settings

POSITIONS = {"payment_id": "reconciler"}  # the key of an item that is no payment
_DUE = "due_shard = :shard AND due_at <= :now"


def postpone(payment_id: str, *, due_at: str, until: datetime) -> bool:
    """Make a payment due later that could not be reconciled, so that others come first."""
    update = UpdateBuilder().set("due_at", iso(until)).require("due_at", due_at)
    return dynamodb.update_item(settings().payments_table, {"payment_id": payment_id}, update)


def due_payments(shard: str, now: datetime) -> Iterator[tuple[str, str]]:
    """Id and `due_at` of the payments of a shard that are due, oldest first."""
    found = query_index(
        settings().payments_table, "due-index", condition=_DUE, values={":shard": shard, ":now": iso(now)}
    )
    return ((item["payment_id"], item["due_at"]) for item in found)


def count_due(shard: str, now: datetime) -> int:
    """How many payments of a shard are due, up to some thousands."""
    return count_in_index(
        settings().payments_table, "due-index", condition=_DUE, values={":shard": shard, ":now": iso(now)}
    )


def read_position(of: str) -> str | None:
    """Where the next run of the reconciler goes on with a list that is not of payments; None at its beginning."""
    item = dynamodb.get_item(settings().payments_table, POSITIONS) or {}
    position: str | None = item.get(of)
    return position


def record_position(of: str, position: str | None) -> None:
    update = UpdateBuilder()
    update.remove(of) if position is None else update.set(of, position)
    dynamodb.update_item(settings().payments_table, POSITIONS, update)
