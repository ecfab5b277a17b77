"""Stripe's clock: it can be moved, and all that happens by itself (expiry, settling, redelivery) hangs on it."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Clock:
    """Time and timers under the fake's one lock.

    Timers run in a thread of their own; whoever reads state calls `run_due` first, so that nobody sees a session as
    open a moment after it expired.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._changed = threading.Condition(lock)
        self._offset = 0.0
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._closed = False
        threading.Thread(target=self._run, name="stripe-clock", daemon=True).start()

    def now(self) -> float:
        return time.time() + self._offset

    def timestamp(self) -> int:
        """Now as Stripe writes it: whole seconds."""
        return int(self.now())

    def advance(self, seconds: float) -> None:
        """Move the clock (backwards too) and run what has become due."""
        with self._changed:
            self._offset += seconds
            self.run_due()
            self._changed.notify()

    def at(self, due: float, action: Callable[[], object]) -> None:
        with self._changed:
            heapq.heappush(self._timers, (due, next(self._order), action))
            self._changed.notify()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.at(self.now() + seconds, action)

    def run_due(self) -> None:
        with self._changed:
            while self._timers and self._timers[0][0] <= self.now() and not self._closed:
                heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                self.run_due()
                # A day at most: the wait's own limit is far above, and nothing is lost by looking.
                self._changed.wait(min(86_400, max(0.0, self._timers[0][0] - self.now())) if self._timers else None)
