"""Fault injection for AWS: the next n calls of an operation fail in the way that the service fails them.

The error is answered instead of the service, below the SDK, so that the SDK's own retries and error classes are
exercised. `times` therefore counts attempts, not calls.
"""

import json
import uuid
from typing import Literal, get_args

from local.fault_queue import Fault, FaultQueue

AwsFault = Literal["throttled", "internal_error", "conflict", "unanswered"]

# The caller of an integration that a state machine calls itself, without a function.
STATES = "states"

# Common names of services → the names in botocore's events.
_SERVICES = {"states": "sfn", "stepfunctions": "sfn", "events": "eventbridge"}

_THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "lambda": "TooManyRequestsException",
    "sns": "Throttled",
}
_INTERNAL_ERROR = {
    "dynamodb": "InternalServerError",
    "eventbridge": "InternalException",
    "lambda": "ServiceException",
    "sns": "InternalError",
}
# The writes that a concurrent transaction can refuse, and the error of each.
_CONFLICT = {
    "dynamodb.TransactWriteItems": "TransactionCanceledException",
    "dynamodb.PutItem": "TransactionConflictException",
    "dynamodb.UpdateItem": "TransactionConflictException",
    "dynamodb.DeleteItem": "TransactionConflictException",
}


class AwsFaults(FaultQueue[AwsFault]):
    """The faults of the emulated AWS."""

    def add(self, operation: str, kind: str, times: int = 1, function: str | None = None) -> None:
        """`operation` as in `dynamodb.UpdateItem`; `function` is a module of lambdas/, or `states` for integrations.

        Kinds: `throttled`, `internal_error`, `conflict` (with a concurrent transaction), `unanswered` (executed, but
        the answer is lost). Raises ValueError for an unknown kind, and for a conflict of a call that cannot have one.
        """
        known: dict[str, AwsFault] = {name: name for name in get_args(AwsFault)}
        if kind not in known:
            raise ValueError(f"kind is one of {', '.join(known)}, not {kind}")
        service, _, name = operation.partition(".")
        operation = f"{_SERVICES.get(service, service)}.{name}"
        if kind == "conflict" and operation not in _CONFLICT:
            raise ValueError(f"{operation} meets no conflicts; these do: {', '.join(_CONFLICT)}")
        self._add(Fault(operation, known[kind], times, function and function.replace("-", "_")))

    def take(self, operation: str, caller: str | None) -> AwsFault | None:
        """The kind of fault that this call meets, if any; calls of the local stack itself (no caller) meet none."""
        if caller is None:
            return None
        return self._take(lambda fault: fault.operation == operation and fault.function in (None, caller))


def fault_response(operation: str, kind: AwsFault, *, items: int = 0) -> tuple[int, dict[str, str], str]:
    """The service's response to a failed call: status, headers, body. `items`: number of items in a transaction."""
    service = operation.partition(".")[0]
    status, reasons = 400, []
    if kind == "throttled":
        code = _THROTTLED.get(service, "ThrottlingException")
        status = 429 if service == "lambda" else 400
    elif kind == "conflict":
        code = _CONFLICT[operation]
        reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
        reasons += [{"Code": "None"}] * (items - 1)
    else:
        code = _INTERNAL_ERROR.get(service, "InternalFailure")
        status = 500
    headers = {"x-amzn-requestid": str(uuid.uuid4()), "x-amzn-errortype": code}
    message = f"{code} on request"
    if service == "sns":
        request_id = f"<RequestId>{headers['x-amzn-requestid']}</RequestId>"
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        body = f"<ErrorResponse>{error}{request_id}</ErrorResponse>"
    elif code == "TransactionCanceledException":
        codes = ", ".join(reason["Code"] for reason in reasons)
        message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
        body = json.dumps({"__type": code, "Message": message, "CancellationReasons": reasons})
    else:
        body = json.dumps({"__type": code, "message": message})
    return status, headers, body
