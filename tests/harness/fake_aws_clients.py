"""A fake of the AWS clients with which functions start and resume executions, publish events and notify operators."""

import json
import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

type Json = dict[str, Any]


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "Operation")


class FakeAws:
    """Step Functions, the operators' topic and the platform's bus; at first one state waits, with the token `token`.

    `passed_on`: what was handed to them, by place.
    """

    def __init__(self, passed_on: dict[str, list[str]] | None = None) -> None:
        self.passed_on = defaultdict(list) if passed_on is None else passed_on
        self.executions: dict[str, str] = {}  # name → status
        self.waiting = {"token"}
        self.started: list[tuple[str, Json]] = []
        self.signalled: list[tuple[str, str]] = []
        self.failures: list[Exception] = []  # raised by the next signals and starts
        self.throttled: set[str] = set()  # names of executions
        self.on_signal: Callable[[], None] = lambda: None
        self.on_start: Callable[[], None] = lambda: None
        self.messages: list[str] = []
        self.refusals = 0  # so many of the next messages does the topic refuse
        self.subscribers = 1
        self.inputs: dict[str, Json] = {}  # of executions that ended, by name
        self._lock = threading.Lock()

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        with self._lock:
            self._fail()
            if taskToken not in self.waiting:
                raise client_error("TaskDoesNotExist")
            self.waiting.remove(taskToken)
            self.signalled.append((taskToken, json.loads(output)["signal"]))
            self.on_signal()

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, N803
        self._fail(name)
        self.passed_on["an execution"].append(input)
        execution_input = json.loads(input)
        assert stateMachineArn.endswith(":refund" if "refund_id" in execution_input else ":payment")
        if name in self.executions:
            raise client_error("ExecutionAlreadyExists")
        self.executions[name] = "RUNNING"
        self.started.append((name, execution_input))
        self.on_start()

    def describe_execution(self, executionArn: str) -> Json:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        self._fail(name)
        if name not in self.executions:
            raise client_error("ExecutionDoesNotExist")
        started_at = datetime.fromtimestamp([*self.executions].index(name), UTC)  # one after the other
        given = json.dumps(self.inputs.get(name, {}))
        return {"status": self.executions[name], "input": given, "startDate": started_at}

    def get_topic_attributes(self, TopicArn: str) -> Json:  # noqa: N803
        assert TopicArn.endswith(":operators")
        return {"Attributes": {"SubscriptionsConfirmed": str(self.subscribers)}}

    def publish(self, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803
        assert TopicArn.endswith(":operators")
        assert len(Subject) <= 100  # SNS's limit
        self.passed_on["a notification"].append(f"{Subject}\n{Message}")
        if self.refusals:
            self.refusals -= 1
            raise client_error("Throttled")
        self.messages.append(Message)

    def put_events(self, Entries: list[Json]) -> Json:  # noqa: N803
        assert len(Entries) == 1
        self.passed_on["an event"].append(json.dumps(Entries, ensure_ascii=False))
        return {"FailedEntryCount": 0}

    @property
    def notified(self) -> list[str]:
        """What the operators were notified of: each message begins with the name of its section in the runbook."""
        return [message.partition(":")[0] for message in self.messages]

    @property
    def idle(self) -> bool:
        """Whether no execution was started or resumed."""
        return not self.started and not self.signalled

    @property
    def started_names(self) -> list[str]:
        return [name for name, _ in self.started]

    def _fail(self, name: str = "") -> None:
        if name in self.throttled:
            raise client_error("ThrottlingException")
        if self.failures:
            raise self.failures.pop(0)
