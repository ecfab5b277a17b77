"""Fault injection for Stripe: the next n calls of an operation fail in a given way."""

from typing import Literal, get_args

from local.fault_queue import Fault, FaultQueue

StripeFault = Literal[
    "rate_limit",  # 429, not executed
    "conflict",  # 409, not executed
    "server_error",  # 500, not executed; remembered under the idempotency key
    "server_error_after",  # executed, but answered with 500; remembered
    "timeout_before",  # not executed, no answer
    "timeout_after",  # executed, no answer
    "reset",  # not executed, connection reset
    "refuse",  # 400, not executed: refused for good, whatever the key
    "html_403",  # not executed; a proxy answers with a page of HTML
    "html_408",
]


class StripeFaults(FaultQueue[StripeFault]):
    """The faults of one account; `silence_seconds` is how long a time-out keeps the caller waiting.

    By default the connection is dropped at once. The SDK reports that in the same way as a time-out
    (APIConnectionError, to be retried), and tests stay fast. A value above the SDK's read timeout makes it a real one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.silence_seconds = 0.0

    def add(self, operation: str, kind: StripeFault, times: int = 1) -> None:
        """`operation` as in `checkout.sessions.create`, or `*` for every one. Raises ValueError for an unknown kind."""
        if kind not in get_args(StripeFault):
            raise ValueError(f"unknown fault {kind}: one of {', '.join(get_args(StripeFault))}")
        self._add(Fault(operation, kind, times))

    def take(self, operation: str) -> StripeFault | None:
        """The kind of fault that this call meets, if any."""
        return self._take(lambda fault: fault.operation in (operation, "*"))
