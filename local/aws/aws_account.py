"""The emulated AWS account: who calls it, what was called and published, and which faults are to come.

`reset` empties all of it at each start of the emulator.
"""

import contextvars
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID

from local.aws.aws_faults import AwsFaults
from local.quotas import Quotas

REGION = "eu-west-1"
ACCOUNT = DEFAULT_ACCOUNT_ID

# The caller when the local stack itself calls AWS. It meets no faults and needs no permissions.
LOCAL = "local"

# The module of lambdas/ whose function is running, if any.
current_function: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_function", default=None)

# The name of the state machine whose task is running.
current_state_machine: contextvars.ContextVar[str] = contextvars.ContextVar("current_state_machine", default="")


class Counts:
    """What was called since the start: AWS operations by (caller, operation); seconds of each Lambda call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.functions: defaultdict[str, list[float]] = defaultdict(list)
        self.operations: Counter[tuple[str | None, str]] = Counter()

    def function(self, name: str, seconds: float) -> None:
        with self._lock:
            self.functions[name].append(seconds)

    def operation(self, caller: str | None, operation: str) -> None:
        with self._lock:
            self.operations[caller, operation] += 1

    def clear(self) -> None:
        with self._lock:
            self.functions.clear()
            self.operations.clear()


@dataclass(frozen=True)
class PublishedEvent:
    """One event put on a bus; `at` in ISO 8601."""

    bus: str
    source: str
    detail_type: str
    detail: dict[str, Any]
    at: str


counts = Counts()
aws_faults = AwsFaults()
quotas = Quotas()  # unlimited, unless a run replaces them
published: list[PublishedEvent] = []

# Called before each call of a function (its module) or a state machine (its name) with the caller, the operation and
# the request; the result is how AWS refuses the call (status, headers, body), or None.
access: list[Callable[[str, str, Any], tuple[int, dict[str, str], str] | None]] = []

# Called with the event that EventBridge would deliver whenever an execution ends other than successfully.
on_execution_closed: list[Callable[[dict[str, Any]], None]] = []


def reset() -> None:
    """Forget everything of the last run."""
    global quotas  # noqa: PLW0603 - whoever sets them sets them for this run
    quotas = Quotas()
    counts.clear()
    aws_faults.clear()
    published.clear()
    on_execution_closed.clear()
    access.clear()
