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

from shared.errors import OperatorsNotTold
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
    """Tell the operators; `message` says what happened, to which booking, and what to do. Raises OperatorsNotTold."""
    try:
        _sns().publish(TopicArn=settings().operator_topic_arn, Subject=subject, Message=message)
    except (ClientError, BotoCoreError) as error:
        _unannounced("operator notification", error)
        raise OperatorsNotTold(subject) from error


def _unannounced(what: str, error: Exception | None) -> None:
    logger.error("not announced", announcement=what, error=type(error).__name__)
    count("AnnouncementsFailed")
