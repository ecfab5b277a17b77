"""Failures on request: the next n calls of an operation go wrong in a named way."""

import threading
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "rate_limit",  # 429, not executed
    "conflict",  # 409, not executed
    "server_error",  # 500, not executed; remembered under the idempotency key
    "server_error_after",  # executed, answered 500 all the same; remembered
    "timeout_before",  # not executed, no answer
    "timeout_after",  # executed, no answer
    "reset",  # not executed, connection reset
]


@dataclass
class Fault:
    """`operation` as in `checkout.sessions.create`; `*` is every one."""

    operation: str
    kind: Kind
    times: int


class Faults:
    """`silence_seconds`: how long a time-out keeps the caller waiting before the connection is dropped.

    The default drops it at once, which the SDK reports as it does a time-out (APIConnectionError, to be retried) and
    keeps tests fast; a value above the SDK's read timeout makes it a true one.
    """

    def __init__(self) -> None:
        self.silence_seconds = 0.0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, operation: str, kind: Kind, times: int = 1) -> None:
        if kind not in get_args(Kind):
            raise ValueError(f"unknown fault {kind}: one of {', '.join(get_args(Kind))}")
        with self._lock:
            self._faults.append(Fault(operation, kind, times))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, operation: str) -> Kind | None:
        with self._lock:
            for fault in self._faults:
                if fault.operation in (operation, "*"):
                    fault.times -= 1
                    self._faults = [fault for fault in self._faults if fault.times > 0]
                    return fault.kind
        return None
