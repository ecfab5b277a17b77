"""Finds what must not be in a log line, an execution's history, a notification, an event or an answer of the API."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from local import credentials
from local.fake_stripe.cards import CARDS
from tests.harness.running_stack import WORKFLOWS, RunningStack


def find_leaks(stack: RunningStack) -> list[str]:
    """What was found and where, for everything that has run on the stack."""
    texts = {
        "the log": stack.local.log.read_text(encoding="utf-8"),
        "an answer": "\n".join(stack.answers),
        "a notification": json.dumps(stack.admin.notifications()),
        "an event": json.dumps(stack.admin.events(), default=str),
    }
    task_tokens: set[str] = set()
    arns = [stack.execution_arn(one["name"], of) for of in WORKFLOWS for one in stack.admin.executions(of)]
    for arn in arns:
        history = stack.states.get_execution_history(executionArn=arn)["events"]
        task_tokens.update(token for event in history for token in _task_tokens(event))
        texts[arn] = "\n".join(text for event in history for text in _passed_on(event))
    assert task_tokens
    secrets = {
        "a secret": [credentials.STRIPE_API_KEY, credentials.WEBHOOK_SECRET, "whsec_", "sk_test_"],
        "a guest's token": [part for token in stack.issued_tokens for part in (token, token.rpartition(".")[2])],
        "a card number": CARDS,
        "a task token": task_tokens,
        "an e-mail address": ["@example.com"],
    }
    return [
        f"{what} in {where}"
        for where, text in texts.items()
        for what, values in secrets.items()
        if any(value in text for value in values)
    ]


def _passed_on(event: Mapping[str, Any]) -> Iterator[str]:
    """All of an event; of a task, what the function is given: only it may hold a token, in what DynamoDB is asked."""
    details = event.get("taskScheduledEventDetails")
    if details is None:
        yield json.dumps(event, default=str)
    elif details["resource"] == "invoke":
        yield details["parameters"]


def _task_tokens(event: Mapping[str, Any]) -> Iterator[str]:
    """Where Step Functions itself writes them: in what an integration is asked to do."""
    parameters = event.get("taskScheduledEventDetails", {}).get("parameters", "{}")
    token = json.loads(parameters).get("ExpressionAttributeValues", {}).get(":token", {})
    yield from token.values()
