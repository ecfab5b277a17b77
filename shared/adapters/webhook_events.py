"""The table of processed Stripe events."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from shared.adapters import dynamodb
from shared.adapters.dynamodb import call_dynamodb, error_code, from_item, serialize
from shared.settings import settings

EVENT_TTL = timedelta(days=90)


def event_processed(event_id: str) -> bool:
    """Whether the event was recorded with its effect done."""
    item = call_dynamodb(
        lambda: dynamodb.client().get_item(
            TableName=settings().webhook_events_table, Key=serialize({"event_id": event_id}), ConsistentRead=True
        )
    ).get("Item")
    return item is not None and from_item(item)["processing_result"] != "error"


def record_event(event_id: str, fields: Mapping[str, str | None], *, now: datetime) -> bool:
    """Record an event once its effect is durable, or as an `error`, which a later success replaces.

    False when it was recorded as processed before.
    """
    item = {name: value for name, value in fields.items() if value is not None}
    record = {**item, "event_id": event_id, "ttl": int((now + EVENT_TTL).timestamp())}
    try:
        call_dynamodb(
            lambda: dynamodb.client().put_item(
                TableName=settings().webhook_events_table,
                Item=serialize(record),
                ConditionExpression="attribute_not_exists(event_id) OR processing_result = :error",
                ExpressionAttributeValues=serialize({":error": "error"}),
            )
        )
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
