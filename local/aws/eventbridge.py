"""EventBridge of the local stack: delivers status-change events of executions and runs schedules, as deployed."""

import json
import logging
import re
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.events.models import events_backends
from moto.scheduler.models import scheduler_backends

from local.aws import emulator
from local.aws.clients import client

type Json = dict[str, Any]

logger = logging.getLogger(__name__)

# Seconds before each of the two retries of a function that failed, as Lambda waits for a target of a rule.
_RETRY_AFTER = (60.0, 120.0)


class EventBridge:
    """Applies the rules of the default bus and the schedules that are deployed to moto, until `close`."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(16, thread_name_prefix="eventbridge")
        self._sns, self._kms = client("sns"), client("kms")
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._timers = [
            threading.Thread(
                target=self._run_schedule, args=(group, schedule), name=f"schedule-{schedule.name}", daemon=True
            )
            for group in scheduler_backends[emulator.ACCOUNT][emulator.REGION].schedule_groups.values()
            for schedule in group.schedules.values()
        ]
        for timer in self._timers:
            timer.start()
        emulator.on_execution_closed.append(self._deliver)

    def close(self) -> None:
        """Start nothing more, and wait for what is running."""
        with self._lock:
            self._end.set()
        for timer in self._timers:
            timer.join()
        self._workers.shutdown()

    def _deliver(self, event: Json) -> None:
        with self._lock:
            if self._end.is_set():
                return
            for rule in events_backends[emulator.ACCOUNT][emulator.REGION].event_buses["default"].rules.values():
                if rule.event_pattern.matches_event(event):
                    for target in rule.targets:
                        self._workers.submit(self._send, target, event)

    def _send(self, target: Mapping[str, Any], event: Json) -> None:
        transformer = target.get("InputTransformer")
        service = target["Arn"].split(":")[2]
        if service == "lambda":
            self._invoke_until_it_works(target["Arn"], event)
        elif service == "sns":
            if not self._may_publish(target["Arn"]):
                logger.warning("dropped: EventBridge may not publish to %s", target["Arn"])
                return
            message = _transform(transformer, event) if transformer else json.dumps(event)
            self._sns.publish(TopicArn=target["Arn"], Message=message)
        else:
            raise NotImplementedError(f"EventBridge targets of {service} are not supported")

    def _invoke_until_it_works(self, function_arn: str, event: Json) -> None:
        for pause in _RETRY_AFTER:
            if _invoke(function_arn, event) or self._end.wait(pause):
                return
        _invoke(function_arn, event)

    def _may_publish(self, topic_arn: str) -> bool:
        """Whether the policies of the topic and of its key let EventBridge use them."""
        topic = self._sns.get_topic_attributes(TopicArn=topic_arn)["Attributes"]
        if not _allows(topic["Policy"], "sns:Publish"):
            return False
        if not (key := topic.get("KmsMasterKeyId")):
            return True
        policy = self._kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        return _allows(policy, "kms:Decrypt") and _allows(policy, "kms:GenerateDataKey")

    def _run_schedule(self, group: Any, schedule: Any) -> None:
        while not self._end.wait(_interval_seconds(schedule.schedule_expression)):
            if schedule.name not in group.schedules:  # deleted
                return
            _invoke(schedule.target["Arn"], json.loads(schedule.target["Input"]))


def _allows(policy: str, action: str) -> bool:
    """Whether a statement without a condition, which EventBridge does not support here, allows it the action."""
    return any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "events.amazonaws.com"}
        and action in statement["Action"]
        and "Condition" not in statement
        for statement in json.loads(policy)["Statement"]
    )


def _interval_seconds(expression: str) -> float:
    """For `rate(n minutes)`, and for `cron(0/m h-h * * ? *)`: every m minutes of these hours, in UTC."""
    if match := re.fullmatch(r"rate\((\d+) minutes?\)", expression):
        return 60 * int(match[1])
    match = re.fullmatch(r"cron\(0/(\d+) (\d+)-(\d+) \* \* \? \*\)", expression)
    if match is None:
        raise NotImplementedError(f"schedules like {expression} are not supported")
    minutes, first, last = (int(part) for part in match.groups())
    now = datetime.now(UTC)
    due = now.replace(second=0, microsecond=0)
    while due <= now or due.minute % minutes or not first <= due.hour <= last:
        due += timedelta(minutes=1)
    return (due - now).total_seconds()


def _transform(transformer: Mapping[str, Any], event: Json) -> str:
    """The message of an input transformer: `<name>` is replaced by the value at the path `$.a.b` of the event."""
    values = {name: _value_at(path, event) for name, path in transformer["InputPathsMap"].items()}
    text = re.sub(r"<(\w+)>", lambda match: values[match[1]], transformer["InputTemplate"])
    message = json.loads(text)
    return message if isinstance(message, str) else text


def _value_at(path: str, event: Json) -> str:
    value: Any = event
    for name in path.removeprefix("$.").split("."):
        value = value[name]
    return str(value)


def _invoke(function_arn: str, event: Json) -> bool:
    """Whether the function ended without an error."""
    result, failed = emulator.invoke(function_arn, event)
    if failed:
        # The log of the functions has the details.
        logger.warning("%s: %s", function_arn, result.get("errorType"))
    return not failed
