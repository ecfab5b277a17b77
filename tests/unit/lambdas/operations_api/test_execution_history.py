"""lambdas.operations_api.execution_history: visits of states, from the events of Step Functions."""

import json
from typing import Any

import pytest

from lambdas.operations_api import handler
from lambdas.operations_api.execution_history import visited
from shared.adapters import step_functions
from tests.harness.builders import NOW, SECOND, paying
from tests.harness.payments_api_calls import OPERATOR, call
from tests.harness.stored_tables import Stored


def event(second: int, kind: str, **details: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": NOW + second * SECOND, **details}


CAUSE = json.dumps({"errorMessage": "no answer", "errorType": "StripeUnavailable", "stackTrace": ["…"]})
EVENTS = [
    event(0, "ExecutionStarted"),
    event(0, "TaskStateEntered", stateEnteredEventDetails={"name": "CreateCheckoutSession"}),
    event(0, "TaskScheduled"),
    event(1, "TaskFailed", taskFailedEventDetails={"error": "StripeUnavailable", "cause": CAUSE}),
    event(2, "TaskScheduled"),
    event(3, "TaskSucceeded"),
    event(3, "TaskStateExited", stateExitedEventDetails={"name": "CreateCheckoutSession"}),
    event(3, "TaskStateEntered", stateEnteredEventDetails={"name": "AwaitPayment"}),
    event(3, "TaskScheduled"),
]


def test_a_visit_has_its_times_retries_and_error() -> None:
    first, second = visited(EVENTS)
    assert first.model_dump(exclude_none=True) == {
        "state": "CreateCheckoutSession",
        "type": "Task",
        "entered_at": "2026-11-24T15:00:00.000Z",
        "exited_at": "2026-11-24T15:00:03.000Z",
        "retries": 1,
        "error": "StripeUnavailable",
        "cause": "no answer",
    }
    assert (second.state, second.exited_at, second.retries) == ("AwaitPayment", None, 0)


@pytest.mark.parametrize(
    ("status", "events", "waits_in"),
    [("RUNNING", EVENTS, "AwaitPayment"), ("RUNNING", EVENTS[:7], None), ("ABORTED", EVENTS, None)],
    ids=["waits", "between two states", "ended"],
)
def test_an_execution_says_where_it_waits(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, status: str, events: list[Any], waits_in: str | None
) -> None:
    stored.reservation()
    stored.payment(paying())
    described = {"status": status, "startDate": NOW, "input": "secret"}
    monkeypatch.setattr(step_functions, "describe", lambda _workflow, _name: described)
    monkeypatch.setattr(step_functions, "history", lambda _workflow, _name: iter(events))
    answer = call("GET", "/payments/RES-1/executions/RES-1", claims=OPERATOR, function=handler)
    assert (answer.status, answer.body["status"], answer.body.get("waits_in")) == (200, status, waits_in)
    assert "secret" not in str(answer.body)


@pytest.mark.parametrize("name", ["RES-2", "RES-1-r1"])
def test_an_execution_of_another_booking_is_not_shown(stored: Stored, name: str) -> None:
    stored.reservation()
    stored.payment(paying())
    answer = call("GET", f"/payments/RES-1/executions/{name}", claims=OPERATOR, function=handler)
    assert answer.error == (404, "NOT_FOUND")
