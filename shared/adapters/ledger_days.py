"""On which days the ledger of which payments changed: one small item in the table payments for a payment and a day.

It is written in the transaction of the change. `money_day-index` lists the items of a day by the time of the newest
change, so that a day can be reconciled without reading payments of other days, and late entries are noticed.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from shared.adapters.dynamodb import UpdateBuilder, update_operation
from shared.adapters.queries import query_index
from shared.domain.models import iso
from shared.settings import settings

_INDEX = "money_day-index"
_PAGE = 1000  # keys; the payments themselves are read in batches


def ledger_day_operations(payment_id: str, moments: Iterable[datetime], *, now: datetime) -> list[dict[str, Any]]:
    """Record, as operations of a transaction, on which days money of the payment moved."""
    days = sorted({iso(moment)[:10] for moment in moments})
    return [
        update_operation(
            settings().payments_table,
            {"payment_id": _key(day, payment_id)},
            UpdateBuilder().set_all(money_day=day, recorded_at=iso(now)),
        )
        for day in days
    ]


def payments_of_day(day: date, *, since: str) -> Iterator[tuple[str, str]]:
    """The payments whose ledger has an entry of that day that was recorded since a time, each with that time."""
    condition, values = "money_day = :day AND recorded_at >= :since", {":day": day.isoformat(), ":since": since}
    found = query_index(settings().payments_table, _INDEX, condition=condition, values=values, page=_PAGE)
    prefix = _key(day.isoformat(), "")
    return ((item["payment_id"].removeprefix(prefix), item["recorded_at"]) for item in found)


def recorded_since(day: date, moment: datetime) -> bool:
    """Whether an entry of that day was recorded after a moment."""
    condition = "money_day = :day AND recorded_at > :moment"
    values = {":day": day.isoformat(), ":moment": iso(moment)}
    return next(query_index(settings().payments_table, _INDEX, condition=condition, values=values), None) is not None


def _key(day: str, payment_id: str) -> str:
    return f"{day}#{payment_id}"
