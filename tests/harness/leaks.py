"""Finds what must not be in a log line, an execution's history, a notification, an event or an answer of the API."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Self, get_args
from unittest.mock import patch

from local.admin_api.executions import Workflow
from local.aws.clients import client
from local.aws.gateway import Gateway, Receive, Scope, Send
from local.fake_stripe.cards import CARDS
from local.stack import LocalStack

# By what they find. All secrets, addresses and tokens of the tests have these shapes.
MARKERS: Mapping[str, str] = {
    "a secret": r"(?:sk|rk)_(?:test|live)_\w{4,}|whsec_\w{4,}",
    "an e-mail address": r"[\w.+-]@[\w-]",
    "a guest's token": r"\beyJ[\w-]{10,}\.eyJ",  # a random id may begin like one
    "a card number": "|".join(CARDS),
}

_TOKEN_SHAPE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def search(texts: Mapping[str, str], markers: Mapping[str, str] = MARKERS) -> list[str]:
    """What was found and where, with some of the text around it."""
    found = [(what, where, re.search(of, text)) for where, text in texts.items() for what, of in markers.items()]
    return [
        f"{what} in {where}: {at.string[max(0, at.start() - 80) : at.end() + 40]}" for what, where, at in found if at
    ]


class WatchedStack(LocalStack):
    """A local stack of a test. At its end, nothing secret or personal may have left it, whatever the test was about."""

    _answers: list[bytes]

    def __enter__(self) -> Self:
        respond, self._answers = Gateway.__call__, []

        async def recorded(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
            async def record(message: Any) -> None:
                self._answers.append(message.get("body", b""))
                await send(message)

            await respond(gateway, scope, receive, record)

        self._recording = patch.object(Gateway, "__call__", recorded)
        self._recording.start()
        try:
            return super().__enter__()
        except BaseException:
            self._recording.stop()
            raise

    def __exit__(self, *error: object) -> None:
        leaks = [] if any(error) else self.find_leaks()
        self._recording.stop()
        super().__exit__()
        assert not leaks, "\n".join(leaks)

    def renew(self, seed: int) -> None:
        self._answers.clear()
        super().renew(seed)

    def find_leaks(self, markers: Mapping[str, str] = MARKERS) -> list[str]:
        """What is in a log line, a history, a notification, an event or an answer so far, besides task tokens."""
        states = client("stepfunctions")
        texts = {
            "the log": self.log.read_text(encoding="utf-8"),
            "an answer": b"\n".join(self._answers).decode(errors="replace"),
            "a notification": json.dumps(self.admin.notifications(), ensure_ascii=False),
            "an event": json.dumps(self.admin.events(), ensure_ascii=False, default=str),
        }
        task_tokens: set[str] = set()
        for workflow in get_args(Workflow.__value__):
            for execution in self.admin.executions(workflow):
                machine = self.outputs[f"{workflow}StateMachineArn"].replace(":stateMachine:", ":execution:")
                history: Any = states.get_execution_history(executionArn=f"{machine}:{execution['name']}")["events"]
                task_tokens.update(token for event in history for token in _task_tokens(event))
                texts[execution["name"]] = "\n".join(text for event in history for text in _passed_on(event))
        leaked = [(where, _TOKEN_SHAPE.findall(text)) for where, text in texts.items()]
        return [
            *search(texts, markers),
            *(f"a task token in {where}" for where, found in leaked if not task_tokens.isdisjoint(found)),
        ]


def _passed_on(event: Mapping[str, Any]) -> Iterator[str]:
    """All of an event; of a task, what the function is given: only it may hold a token, in what DynamoDB is asked."""
    details = event.get("taskScheduledEventDetails")
    if details is None:
        yield json.dumps(event, ensure_ascii=False, default=str)
    elif details["resource"] == "invoke":
        yield details["parameters"]


def _task_tokens(event: Mapping[str, Any]) -> Iterator[str]:
    """Where Step Functions itself writes them: in what an integration is asked to do."""
    parameters = event.get("taskScheduledEventDetails", {}).get("parameters", "{}")
    token = json.loads(parameters).get("ExpressionAttributeValues", {}).get(":token", {})
    yield from token.values()
