"""GET /payments/{id}/executions/{name}: where an execution was and is, without its data."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response

from lambdas.operations_api.operations_router import router
from lambdas.operations_api.payment_record import executions_of, find_payment
from shared.adapters import step_functions
from shared.contracts.operations_bodies import ExecutionResponse, StateRecord
from shared.domain.api_errors import ApiError
from shared.domain.models import iso, optional_iso
from shared.services import http_api

LONGEST_CAUSE = 500  # characters


@router.get("/payments/<payment_or_reservation_id>/executions/<name>")
def read_execution(payment_or_reservation_id: str, name: str) -> Response[str]:
    """The states that an execution of the booking has visited."""
    _, payment = find_payment(payment_or_reservation_id)
    workflow = next((of for of, known in executions_of(payment) if known == name), None)
    execution = None if workflow is None else step_functions.describe(workflow, name)
    if workflow is None or execution is None:
        raise ApiError("NOT_FOUND", "execution")
    states = visited(step_functions.history(workflow, name))
    runs = execution["status"] == "RUNNING"
    body = ExecutionResponse(
        name=name,
        workflow=workflow,
        status=execution["status"],
        started_at=iso(execution["startDate"]),
        stopped_at=optional_iso(execution.get("stopDate")),
        error=execution.get("error"),
        cause=_short(execution.get("cause")),
        waits_in=states[-1].state if runs and states and states[-1].exited_at is None else None,
        states=states,
    )
    return http_api.json_response(200, body)


def visited(events: Iterable[Mapping[str, Any]]) -> list[StateRecord]:
    """Each visit of a state, oldest first; neither workflow has two states at once."""
    states: list[StateRecord] = []
    for event in events:
        kind = str(event["type"])
        if kind.endswith("StateEntered"):
            name = event["stateEnteredEventDetails"]["name"]
            state_type = kind.removesuffix("StateEntered")
            states.append(StateRecord(state=name, type=state_type, entered_at=iso(event["timestamp"])))
        elif states:
            states[-1] = states[-1].model_copy(update=_news(event, kind, states[-1]))
    return states


def _news(event: Mapping[str, Any], kind: str, before: StateRecord) -> dict[str, Any]:
    if kind.endswith("StateExited"):
        return {"exited_at": iso(event["timestamp"])}
    if kind == "TaskScheduled":
        first = before.error is None and before.retries == 0
        return {} if first else {"retries": before.retries + 1}
    if kind.startswith("Task") and kind.endswith(("Failed", "TimedOut")):
        details: Mapping[str, Any] = next((of for name, of in event.items() if name.endswith("EventDetails")), {})
        return {"error": details.get("error"), "cause": _short(details.get("cause"))}
    return {}


def _short(cause: str | None) -> str | None:
    """The message of a function's error, which Step Functions passes on as JSON with the traceback."""
    if cause is None:
        return None
    try:
        message = json.loads(cause)["errorMessage"]
    except (KeyError, TypeError, ValueError):
        message = cause
    return str(message)[:LONGEST_CAUSE]
