"""Many payments at once, in few requests: by their ids, or by PaymentIntents of theirs."""

from collections.abc import Collection, Iterable, Iterator
from itertools import batched
from typing import Any

from shared.adapters import dynamodb
from shared.domain.models import Payment
from shared.settings import settings

BATCH = 100  # what BatchGetItem reads at once


def read_payments(ids: Collection[str]) -> dict[str, Payment]:
    """The payments that exist, by their ids."""
    found = (Payment.model_validate(item) for item in read_items(sorted(ids)))
    return {payment.payment_id: payment for payment in found}


def read_owners(pis: Collection[str]) -> dict[str, Payment]:
    """The payments that PaymentIntents belong to, as far as their pointers say."""
    pointers = {item["payment_id"]: item["belongs_to"] for item in read_items(sorted(pis))}
    payments = read_payments(set(pointers.values()))
    return {pi: payments[payment_id] for pi, payment_id in pointers.items() if payment_id in payments}


def read_items(keys: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The items with these keys that exist, a hundred with one request, as they are needed."""
    table = settings().payments_table
    for batch in batched(keys, BATCH, strict=False):
        yield from dynamodb.batch_get({table: [{"payment_id": key} for key in batch]})[table]
