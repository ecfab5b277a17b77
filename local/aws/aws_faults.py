"""Faults of AWS on request: the next n calls of an operation fail the way the service fails them.

They are answered in place of the service, below the SDK, so that the SDK's own retries and error classes are exercised;
`times` therefore counts attempts, not calls.
"""

import json
import threading
import uuid
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["throttled", "internal_error", "conflict", "unanswered"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# How people say the service, and how botocore's events do.
SERVICES = {"states": "sfn", "stepfunctions": "sfn", "events": "eventbridge"}

THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "lambda": "TooManyRequestsException",
    "sns": "Throttled",
}
INTERNAL_ERROR = {
    "dynamodb": "InternalServerError",
    "eventbridge": "InternalException",
    "lambda": "ServiceException",
    "sns": "InternalError",
}
# Which writes a transaction that runs at the same time can refuse, and how each is told.
CONFLICT = {
    "dynamodb.TransactWriteItems": "TransactionCanceledException",
    "dynamodb.PutItem": "TransactionConflictException",
    "dynamodb.UpdateItem": "TransactionConflictException",
    "dynamodb.DeleteItem": "TransactionConflictException",
}

# Who calls when an integration of a state machine does, and no function.
STATES = "states"


@dataclass
class Fault:
    operation: str
    kind: Kind
    times: int
    function: str | None


class AwsFaults:
    """The faults still to come, taken one by one in the order they were asked for."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, operation: str, kind: str, times: int = 1, function: str | None = None) -> None:
        """`operation` as in `dynamodb.UpdateItem`; `function` is a module of lambdas/, or `states` for integrations.

        kinds: `throttled`, `internal_error`, `conflict` (a transaction at the same time), `unanswered` (done, and the
        answer lost). Raises ValueError for what does not exist.
        """
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind}")
        service, _, name = operation.partition(".")
        operation = f"{SERVICES.get(service, service)}.{name}"
        if kind == "conflict" and operation not in CONFLICT:
            raise ValueError(f"{operation} meets no conflicts; these do: {', '.join(CONFLICT)}")
        with self._lock:
            self._faults.append(Fault(operation, kind, times, function and function.replace("-", "_")))

    def take(self, operation: str, caller: str | None) -> Kind | None:
        """The kind of fault this call meets, if any. The local stack's own calls (no caller) never meet one."""
        if caller is None:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.operation == operation and fault.function in (None, caller):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault.kind
        return None

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()


def answer(operation: str, kind: Kind, *, items: int = 0) -> tuple[int, dict[str, str], str]:
    """What the service answers: status, headers, body. `items` is the number of items in a transaction."""
    service = operation.partition(".")[0]
    status, reasons = 400, []
    if kind == "throttled":
        code = THROTTLED.get(service, "ThrottlingException")
        status = 429 if service == "lambda" else 400
    elif kind == "conflict":
        code = CONFLICT[operation]
        reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
        reasons += [{"Code": "None"}] * (items - 1)
    else:
        code = INTERNAL_ERROR.get(service, "InternalFailure")
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
