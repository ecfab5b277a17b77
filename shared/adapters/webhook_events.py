"""The table of processed Stripe events, which makes each event take effect once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.adapters import dynamodb
from shared.adapters.pointers import Pointer
from shared.domain.models import Payment
from shared.settings import settings

EVENT_TTL = timedelta(days=90)


@dataclass(frozen=True)
class StoredForEvent:
    """What is stored when an event comes.

    `processed`: whether it was recorded after it took effect; the pointer of its PaymentIntent, and the payment that
    its metadata names.
    """

    processed: bool
    pointer: Pointer | None = None
    named: Payment | None = None


def read_for_event(event_id: str, *, pi: str | None, payment_id: str | None) -> StoredForEvent:
    """Read all that an event needs in one request. Raises StoreBusy."""
    events, payments = settings().webhook_events_table, settings().payments_table
    keys = [{"payment_id": key} for key in (pi, payment_id) if key is not None]
    found = dynamodb.batch_get({events: [{"event_id": event_id}], **({payments: keys} if keys else {})})
    items = {item["payment_id"]: item for item in found.get(payments, ())}
    return StoredForEvent(
        processed=any(item["processing_result"] != "error" for item in found[events]),
        pointer=Pointer.of(items[pi]) if pi in items else None,
        named=Payment.model_validate(items[payment_id]) if payment_id in items else None,
    )


def record_event(event_id: str, fields: Mapping[str, str | None], *, now: datetime) -> bool:
    """Record an event once its effect is durable, or as an `error`, which a later success replaces.

    False if it was recorded as processed before.
    """
    record = {name: value for name, value in fields.items() if value is not None}
    return dynamodb.put_item(
        settings().webhook_events_table,
        {**record, "event_id": event_id, "ttl": int((now + EVENT_TTL).timestamp())},
        condition="attribute_not_exists(event_id) OR processing_result = :error",
        values={":error": "error"},
    )
