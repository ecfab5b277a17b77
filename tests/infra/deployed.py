"""What the tests of this folder read of a deployment: names, ARNs, inputs of resources, and permissions of roles."""

import json
from pathlib import Path
from typing import Any

from tests.infra.worker import Seen

ROOT = Path(__file__).parents[2]

# Functions with their timeouts in seconds.
PAYMENT_STATE_FUNCTIONS = {
    "create-checkout-session": 40,
    "verify-payment": 60,
    "expire-checkout-sessions": 120,
    "confirm-reservation": 30,
    "release-hold": 30,
}
REFUND_STATE_FUNCTIONS = {"reserve-refund": 35, "create-refund": 40, "check-refund": 35, "record-refund": 30}
STARTERS = {"payments-api": 28, "operations-api": 28, "stripe-webhook": 28, "reconcile-payments": 300}
FUNCTIONS = {**PAYMENT_STATE_FUNCTIONS, **REFUND_STATE_FUNCTIONS, **STARTERS, "reconcile-ledger": 900}
# The handlers of functions that are packages.
HANDLER_MODULES = {"payments-api": "payments_api.handler", "operations-api": "operations_api.handler"}

PAYMENTS = "arn:aws:dynamodb:eu-west-1:123456789012:table/booking-local-payments"
PAYMENT_WORKFLOW = "arn:aws:states:eu-west-1:123456789012:stateMachine:booking-local-payment"
REFUND_WORKFLOW = "arn:aws:states:eu-west-1:123456789012:stateMachine:booking-local-refund"
RECONCILER = "arn:aws:lambda:eu-west-1:123456789012:function:booking-local-reconcile-payments:live"
LEDGER_RECONCILER = "arn:aws:lambda:eu-west-1:123456789012:function:booking-local-reconcile-ledger:live"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:booking-local-operators"


def inputs(stack: Seen, type_: str) -> dict[str, dict[str, Any]]:
    return {resource.name: resource.inputs for resource in stack.deployment.of_type(type_)}


def allowed(stack: Seen, role: str) -> dict[str, set[str]]:
    """Return the actions that a role may do, by resource, without logs and traces, which every role has."""
    policy = json.loads(inputs(stack, "aws:iam/rolePolicy:RolePolicy")[role]["policy"])
    result: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        through_alias = {"StringEquals": {"states:StateMachineQualifier": "live"}}
        assert statement.get("Condition") == (through_alias if "states:StartExecution" in statement["Action"] else None)
        for resource in statement["Resource"]:
            for action in statement["Action"]:
                if not action.startswith(("logs:", "xray:")):
                    result.setdefault(resource, set()).add(action)
    return result
