"""What functions tell others: events on the bus, notifications to operators.

Neither is in the way of an effect. An event that the bus refuses is logged as an error and counted; so is a
notification, and it raises: whoever has to tell operators is not done before they are told.
"""

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.errors import NotificationFailed
from shared.observability import count, logger
from shared.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient

SOURCE = "booking.payments"

# A caller of ours waits meanwhile: Stripe 20 s.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


@functools.cache
def _events() -> "EventBridgeClient":
    return boto3.client("events", config=_CONFIG)


@functools.cache
def _sns() -> "SNSClient":
    return boto3.client("sns", config=_CONFIG)


def publish(detail_type: str, detail: Mapping[str, str | int]) -> None:
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
        _not_published(detail_type, error)
    else:
        if failed:
            _not_published(detail_type, None)


def notify_operators(subject: str, message: str) -> None:
    """Tell the operators; `message` says what happened, to which booking, and what to do. Raises NotificationFailed."""
    try:
        _sns().publish(TopicArn=settings().operator_topic_arn, Subject=subject, Message=message)
    except (ClientError, BotoCoreError) as error:
        _not_published("operator notification", error)
        raise NotificationFailed(subject) from error


def _not_published(what: str, error: Exception | None) -> None:
    logger.error("not published", events=what, error=type(error).__name__)
    count("PublishingFailed")
