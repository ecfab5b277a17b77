"""Stripe's clock: it can be moved, and it triggers everything that is due later (expiry, settlement, redelivery)."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Clock:
    """Time and timers, under the lock of the account.

    Timers run in a separate thread. Every reader of the account calls `run_due` first, so that a session is never
    seen as open after its expiry.
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
        """The current time in whole seconds, as Stripe's objects have it."""
        return int(self.now())

    def advance(self, seconds: float) -> None:
        """Move the clock, forwards or backwards, and run what has become due."""
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
                # At most a day, because the wait has an upper limit.
                self._changed.wait(min(86_400, max(0.0, self._timers[0][0] - self.now())) if self._timers else None)
