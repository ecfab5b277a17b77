"""EventBridge: which topics it may publish to, and what schedules start."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.sns.models import sns_backends

from local.aws import emulator
from local.aws.eventbridge import EventBridge
from local.virtual_time.virtual_time import virtual_time

RULE: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": "*"}
MAY_PUBLISH = RULE | {"Action": "sns:Publish"}
MAY_USE_KEY = RULE | {"Action": ["kms:Decrypt", "kms:GenerateDataKey"]}
BY_RULE = {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/died"}}}
IN_ACCOUNT = {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}


@pytest.fixture
def bridge(aws: None) -> Iterator[EventBridge]:
    bridge = EventBridge()
    yield bridge
    bridge.close()


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.defect("A-02", "A-03")
@pytest.mark.parametrize(
    ("topic_statement", "key_statement", "delivered"),
    [
        pytest.param(MAY_PUBLISH, None, 1, id="any rule may publish"),
        pytest.param(MAY_PUBLISH | BY_RULE, None, 0, id="a rule may publish"),
        pytest.param(MAY_PUBLISH | IN_ACCOUNT, None, 0, id="the account may publish"),
        pytest.param(MAY_PUBLISH | {"Principal": {"Service": "cloudwatch.amazonaws.com"}}, None, 0, id="only alarms"),
        pytest.param(MAY_PUBLISH, MAY_USE_KEY, 1, id="any rule may use the key"),
        pytest.param(MAY_PUBLISH, MAY_USE_KEY | BY_RULE, 0, id="a rule may use the key"),
        pytest.param(MAY_PUBLISH, MAY_USE_KEY | {"Action": ["kms:Decrypt"]}, 0, id="the key may not encrypt"),
    ],
)
def test_a_message_is_dropped_unless_the_policies_allow_it_without_a_condition(
    bridge: EventBridge, topic_statement: Any, key_statement: Any, delivered: int
) -> None:
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="operators")["TopicArn"]
    attributes = {"Policy": policy(topic_statement)}
    if key_statement is not None:
        kms = boto3.client("kms")
        attributes["KmsMasterKeyId"] = kms.create_key(Policy=policy(key_statement))["KeyMetadata"]["Arn"]
    for name, value in attributes.items():
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    events = boto3.client("events")
    events.put_rule(Name="died", EventPattern=json.dumps({"source": ["aws.states"]}))
    events.put_targets(Rule="died", Targets=[{"Id": "operators", "Arn": topic}])
    (listener,) = emulator.on_execution_closed
    listener({"source": "aws.states", "detail": {"status": "FAILED"}})
    bridge.close()
    backend = sns_backends[emulator.ACCOUNT][emulator.REGION]
    assert len(backend.topics[topic].sent_notifications) == delivered


def test_a_deleted_schedule_starts_nothing_more(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def invoke(arn: str, _: object) -> tuple[object, bool]:
        started.append(arn)
        return {}, False

    monkeypatch.setattr(emulator, "invoke", invoke)
    scheduler = boto3.client("scheduler")
    scheduler.create_schedule(
        Name="every-minute",
        ScheduleExpression="rate(1 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:of:function", "RoleArn": "arn:aws:iam::123456789012:role/schedule", "Input": "{}"},
    )
    with virtual_time(seed=1), contextlib.closing(EventBridge()):
        time.sleep(150)
        assert started == ["arn:of:function"] * 2
        scheduler.delete_schedule(Name="every-minute")
        time.sleep(150)
        assert len(started) == 2


def test_a_function_that_fails_is_tried_twice_more(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def invoke(*_: object) -> tuple[dict[str, str], bool]:
        tries.append(time.monotonic())
        return {"errorType": "StoreBusy"}, True

    monkeypatch.setattr(emulator, "invoke", invoke)
    with virtual_time(seed=1), contextlib.closing(EventBridge()) as bridge:
        bridge._send({"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:reconcile"}, {})
    assert tries == [0, 60, 180]
