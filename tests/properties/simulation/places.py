"""The places where a history can be met: the states of both workflows and the functions outside them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from local.admin_api.executions import Workflow
from statemachines.render import load
from tests.harness.running_stack import WORKFLOWS

NOT_STARTED = "not started"
# What the functions call about a booking. Of Stripe, histories let fail whatever is called.
_ITEMS = ("dynamodb.BatchGetItem", "dynamodb.GetItem", "dynamodb.UpdateItem", "dynamodb.TransactWriteItems")
_SESSIONS = ("stripe", *_ITEMS)
CALLS: Mapping[str, tuple[str, ...]] = {
    "create_checkout_session": _SESSIONS,
    "verify_payment": (*_SESSIONS, "sns.Publish", "eventbridge.PutEvents"),
    "expire_checkout_sessions": (*_SESSIONS, "sns.Publish", "eventbridge.PutEvents"),
    "confirm_reservation": ("dynamodb.BatchGetItem", "dynamodb.TransactWriteItems"),
    "release_hold": ("dynamodb.BatchGetItem", "dynamodb.TransactWriteItems"),
    "reserve_refund": (*_SESSIONS, "eventbridge.PutEvents"),
    "create_refund": ("stripe", "dynamodb.GetItem", "dynamodb.UpdateItem"),
    "check_refund": ("stripe", "dynamodb.GetItem", "dynamodb.UpdateItem"),
    "record_refund": ("dynamodb.GetItem", "dynamodb.TransactWriteItems", "eventbridge.PutEvents"),
    "stripe_webhook": (
        *("stripe", *_ITEMS, "dynamodb.PutItem", "sfn.SendTaskSuccess"),
        *("sfn.StartExecution", "eventbridge.PutEvents", "sns.Publish"),
    ),
    "payments_api": (*_ITEMS, "sfn.SendTaskSuccess", "sfn.StartExecution", "sfn.DescribeExecution"),
    "operations_api": (
        *("dynamodb.BatchGetItem", "dynamodb.Query", "dynamodb.TransactWriteItems"),
        *("sfn.DescribeExecution", "sfn.GetExecutionHistory"),
    ),
    "reconcile_payments": (
        *("stripe", *_ITEMS, "dynamodb.PutItem"),
        *("sfn.SendTaskSuccess", "sfn.StartExecution", "sfn.DescribeExecution", "eventbridge.PutEvents"),
        "sns.Publish",
    ),
}
STRIPE_FAULTS = (
    *("rate_limit", "server_error", "server_error_after", "timeout_before", "timeout_after", "reset"),
    *("html_403", "html_408"),
)
REFUSED_FOR_GOOD = {"checkout.sessions.create", "checkout.sessions.expire", "refunds.create"}
CONFLICTING = {"dynamodb.UpdateItem", "dynamodb.TransactWriteItems", "dynamodb.PutItem"}


@dataclass(frozen=True)
class State:
    """`calls`: what the state machine calls itself. `function`: the module that it invokes; None if it invokes none."""

    workflow: Workflow
    kind: str
    calls: tuple[str, ...]
    function: str | None


def _states() -> dict[str, State]:
    found = {}
    for workflow in WORKFLOWS:
        for name, state in load(workflow)["States"].items():
            resource = state.get("Resource", "").removeprefix("arn:aws:states:::").removeprefix("aws-sdk:")
            service, _, operation = resource.partition(".")[0].partition(":")
            service = {"states": "sfn", "events": "eventbridge"}.get(service, service)  # as in botocore
            calls = (f"{service}.{operation[0].upper()}{operation[1:]}",) if operation else ()
            arn = re.search(r"\{(\w+)Arn\}", str(state.get("Arguments", {}).get("FunctionName", "")))
            function = re.sub(r"(?<!^)(?=[A-Z])", "_", arn[1]).lower() if arn else None
            found[place(workflow, name)] = State(workflow, state["Type"], calls, function)
    return found


def place(workflow: str, state: str) -> str:
    """The name of a state; of those that both workflows have, the refund's have a name of their own."""
    return f"{state} (refund)" if workflow == "refund" and state in {"NotifyOperators", "NeedsAttention"} else state


STATES = _states()
MET = (NOT_STARTED, *(name for name, state in STATES.items() if state.kind != "Choice"))  # where a person can come
OPERATIONS = {call for calls in (*CALLS.values(), *(state.calls for state in STATES.values())) for call in calls}
STOPPABLE = tuple(name for name, state in STATES.items() if state.kind in {"Task", "Wait"})


def aws_faults(operation: str) -> tuple[str, ...]:
    """The ways in which a call to AWS fails."""
    return ("throttled", "internal_error", "unanswered", *(("conflict",) if operation in CONFLICTING else ()))
