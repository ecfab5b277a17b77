"""The pointer item of a PaymentIntent in the table payments: whose it is, read consistently by key.

A pointer is written only for a PaymentIntent whose Checkout Session is stored on the payment. It has none of a
payment's attributes, so no index lists it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.adapters import dynamodb
from shared.adapters.dynamodb import UpdateBuilder
from shared.domain.attempts import AttemptKey
from shared.settings import settings


@dataclass(frozen=True)
class Pointer:
    payment_id: str
    attempt: AttemptKey

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        return cls(payment_id=item["belongs_to"], attempt=item["attempt"])


def read_pointer(pi: str) -> Pointer | None:
    item = dynamodb.get_item(settings().payments_table, {"payment_id": pi})
    return None if item is None else Pointer.of(item)


def record_pointer(pi: str, pointer: Pointer) -> bool:
    """Write the pointer; False if the PaymentIntent belongs to another payment."""
    return dynamodb.update_item(settings().payments_table, {"payment_id": pi}, _update(pointer))


def pointer_operation(pi: str, pointer: Pointer) -> dict[str, Any]:
    """Write the pointer as one operation of a transaction."""
    return dynamodb.update_operation(settings().payments_table, {"payment_id": pi}, _update(pointer))


def _update(pointer: Pointer) -> UpdateBuilder:
    update = UpdateBuilder().set_all(belongs_to=pointer.payment_id, attempt=pointer.attempt)
    return update.require_missing_or("belongs_to", pointer.payment_id)
