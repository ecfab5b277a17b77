"""The queue of injected faults: faults are added in advance, and each call takes the first one that applies to it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Fault[Kind: str]:
    """The next `times` calls of `operation` fail in this way; `function` restricts them to one caller."""

    operation: str
    kind: Kind
    times: int
    function: str | None = None


class FaultQueue[Kind: str]:
    """The faults that are still to come, in the order in which they were added. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault[Kind]] = []
        self._lock = threading.Lock()

    def pending(self) -> list[Fault[Kind]]:
        with self._lock:
            return list(self._faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def _add(self, fault: Fault[Kind]) -> None:
        with self._lock:
            self._faults.append(fault)

    def _take(self, applies: Callable[[Fault[Kind]], bool]) -> Kind | None:
        """The kind of the first fault that applies; uses up one of its times."""
        with self._lock:
            for fault in self._faults:
                if applies(fault):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault.kind
        return None
