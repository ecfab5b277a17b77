"""The operators' topic: who is subscribed to it, and who may publish to it."""

from typing import Any

import pulumi
import pulumi_aws as aws


def subscribe(topic: aws.sns.Topic, email: str) -> None:
    """Subscribe `email` to `topic`, and print that its owner has to confirm that."""
    reminder = (
        f"{email} must follow the link in the message from AWS Notifications: until then no alarm and no notification"
        " reaches a person. `pulumi refresh` notices that it is done."
    )
    subscription = aws.sns.TopicSubscription("operators", topic=topic.arn, protocol="email", endpoint=email)
    subscription.pending_confirmation.apply(lambda pending: pulumi.warn(reminder) if pending else None)


def let_services_publish(topic: aws.sns.Topic, *, alarms: str) -> None:
    """Let the rules of EventBridge, and the alarms that match the ARN `alarms`, publish to `topic`, over TLS only.

    Roles of the account need no statement here: their own policies let them publish.
    """

    def statement(sid: str, principal: Any, **more: Any) -> dict[str, Any]:
        common = {"Sid": sid, "Effect": "Allow", "Action": "sns:Publish", "Resource": topic.arn}
        return {**common, "Principal": principal, **more}

    statements = [
        statement("Alarms", {"Service": "cloudwatch.amazonaws.com"}, Condition={"ArnLike": {"aws:SourceArn": alarms}}),
        # EventBridge does not support conditions here: with one, it drops every message.
        statement("Rules", {"Service": "events.amazonaws.com"}),
        statement("TlsOnly", "*", Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    ]
    aws.sns.TopicPolicy(
        "operators", arn=topic.arn, policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})
    )
