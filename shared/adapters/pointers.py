"""The pointer item of a PaymentIntent in the table payments: whose it is, read consistently by key.

A pointer is written only for a PaymentIntent whose Checkout Session is stored on the payment. It has none of a
payment's attributes, so no index lists it.
"""

from dataclasses import dataclass
from typing import Any

from shared.adapters import dynamodb
from shared.adapters.dynamodb import UpdateBuilder
from shared.domain.attempts import AttemptKey
from shared.settings import settings


@dataclass(frozen=True)
class Pointer:
    payment_id: str
    attempt: AttemptKey


def read_pointer(pi: str) -> Pointer | None:
    item = dynamodb.get_item(settings().payments_table, _key(pi))
    return None if item is None else Pointer(payment_id=item["belongs_to"], attempt=item["attempt"])


def record_pointer(pi: str, pointer: Pointer) -> bool:
    """Write the pointer; False if the PaymentIntent belongs to another payment."""
    return dynamodb.update_item(settings().payments_table, _key(pi), _update(pointer))


def pointer_operation(pi: str, pointer: Pointer) -> dict[str, Any]:
    """Write the pointer as one operation of a transaction."""
    return dynamodb.update_operation(settings().payments_table, _key(pi), _update(pointer))


def _key(pi: str) -> dict[str, str]:
    return {"payment_id": pi}


def _update(pointer: Pointer) -> UpdateBuilder:
    update = UpdateBuilder().set_all(belongs_to=pointer.payment_id, attempt=pointer.attempt)
    return update.require_missing_or("belongs_to", pointer.payment_id)
