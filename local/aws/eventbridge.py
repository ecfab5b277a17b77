"""EventBridge on this machine: delivers what executions that died send, and runs schedules, as both are deployed."""

import json
import logging
import re
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from moto.events.models import events_backends
from moto.scheduler.models import scheduler_backends

from local.aws import emulator

type Json = dict[str, Any]

logger = logging.getLogger(__name__)


class EventBridge:
    """The rules of the default bus and the schedules that moto holds, at work until `close`."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="eventbridge")
        self._sns = boto3.client("sns", region_name=emulator.REGION)
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._timers = [
            threading.Thread(target=self._run_schedule, args=(schedule,), name=f"schedule-{schedule.name}", daemon=True)
            for group in scheduler_backends[emulator.ACCOUNT][emulator.REGION].schedule_groups.values()
            for schedule in group.schedules.values()
        ]
        for timer in self._timers:
            timer.start()
        emulator.on_execution_closed.append(self._deliver)

    def close(self) -> None:
        """Nothing is begun any more, and what has begun is done."""
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
            _invoke(target["Arn"], event)
        elif service == "sns":
            message = transformed(transformer, event) if transformer else json.dumps(event)
            self._sns.publish(TopicArn=target["Arn"], Message=message)
        else:
            raise NotImplementedError(f"no delivery to {service}")

    def _run_schedule(self, schedule: Any) -> None:
        while not self._end.wait(interval(schedule.schedule_expression)):
            _invoke(schedule.target["Arn"], json.loads(schedule.target["Input"]))


def interval(expression: str) -> int:
    """Seconds of a `rate(n minutes)`."""
    match = re.fullmatch(r"rate\((\d+) minutes?\)", expression)
    if match is None:
        raise NotImplementedError(f"no schedule {expression}")
    return 60 * int(match[1])


def transformed(transformer: Mapping[str, Any], event: Json) -> str:
    """The message that an input transformer makes: `<name>` is what stands at `$.a.b` of the event."""
    values = {name: _at(path, event) for name, path in transformer["InputPathsMap"].items()}
    text = re.sub(r"<(\w+)>", lambda match: values[match[1]], transformer["InputTemplate"])
    message = json.loads(text)
    return message if isinstance(message, str) else text


def _at(path: str, event: Json) -> str:
    found: Any = event
    for part in path.removeprefix("$.").split("."):
        found = found[part]
    return str(found)


def _invoke(function_arn: str, event: Json) -> None:
    answer, failed = emulator.invoke(function_arn, event)
    if failed:
        # AWS would try twice more; here the log of the functions says why.
        logger.warning("%s: %s", function_arn, answer.get("errorType"))
