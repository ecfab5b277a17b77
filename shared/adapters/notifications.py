"""Events on the platform's bus, and notifications to operators.

An event that cannot be published is logged and counted, and never blocks an effect. A notification that cannot be sent
also raises, since the work is not done before operators are notified.
"""

import functools
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.adapters.aws import PUBLISHER_CONFIG
from shared.contracts.booking_events import EventDetail
from shared.domain.errors import NotificationFailed
from shared.observability import count, logger
from shared.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns import SNSClient

SOURCE = "booking.payments"


@functools.cache
def _events() -> "EventBridgeClient":
    return boto3.client("events", config=PUBLISHER_CONFIG)


@functools.cache
def _sns() -> "SNSClient":
    return boto3.client("sns", config=PUBLISHER_CONFIG)


def publish(event: EventDetail) -> None:
    """Publish one event; its class is its detail-type."""
    detail_type = type(event).__name__
    entry: PutEventsRequestEntryTypeDef = {
        "EventBusName": settings().event_bus_name,
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": event.model_dump_json(exclude_none=True),
    }
    try:
        failed = _events().put_events(Entries=[entry])["FailedEntryCount"]
    except (ClientError, BotoCoreError) as error:
        _report_failure(detail_type, error)
    else:
        if failed:
            _report_failure(detail_type, None)


def notify_operators(subject: str, message: str) -> None:
    """Notify the operators; `message` says what happened, to which booking, and what to do.

    Raises NotificationFailed.
    """
    try:
        _sns().publish(TopicArn=settings().operator_topic_arn, Subject=subject, Message=message)
    except (ClientError, BotoCoreError) as error:
        _report_failure("operator notification", error)
        raise NotificationFailed(subject) from error


def has_subscribers(topic_arn: str) -> bool:
    """Whether anybody has confirmed a subscription to a topic."""
    return int(_sns().get_topic_attributes(TopicArn=topic_arn)["Attributes"]["SubscriptionsConfirmed"]) > 0


def _report_failure(what: str, error: Exception | None) -> None:
    logger.error("not published", events=what, error=type(error).__name__)
    count("PublishingFailed")
