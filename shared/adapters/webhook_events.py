"""The table of processed Stripe events, which makes each event take effect once."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.adapters import dynamodb
from shared.settings import settings

EVENT_TTL = timedelta(days=90)


def event_processed(event_id: str) -> bool:
    """Whether the event was recorded after it took effect."""
    item = dynamodb.get_item(settings().webhook_events_table, {"event_id": event_id})
    return item is not None and item["processing_result"] != "error"


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
