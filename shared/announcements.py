"""What functions tell others: events on the bus, notifications to operators.

Only after the effect is durable, and never in its way: a failure here is logged as an error and counted.
"""

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.observability import count, logger
from shared.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient

SOURCE = "booking.payments"


@functools.cache
def _events() -> "EventBridgeClient":
    return boto3.client("events")


@functools.cache
def _sns() -> "SNSClient":
    return boto3.client("sns")


def announce(detail_type: str, detail: Mapping[str, str | int]) -> None:
    """Put one event on the platform's bus; `detail` holds ids, amounts in cents and statuses."""
    entry: PutEventsRequestEntryTypeDef = {
        "EventBusName": settings().event_bus_name,
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
    }
    try:
        failed = _events().put_events(Entries=[entry])["FailedEntryCount"]
    except (ClientError, BotoCoreError) as error:
        _unannounced(detail_type, error)
    else:
        if failed:
            _unannounced(detail_type, None)


def notify_operators(subject: str, message: str) -> None:
    """Tell the operators; `message` says what happened, to which booking, and what to do."""
    try:
        _sns().publish(TopicArn=settings().operator_topic_arn, Subject=subject, Message=message)
    except (ClientError, BotoCoreError) as error:
        _unannounced("operator notification", error)


def _unannounced(what: str, error: Exception | None) -> None:
    logger.error("not announced", announcement=what, error=type(error).__name__)
    count("AnnouncementsFailed")
