"""Throttling by token buckets, and that of a stage: each method has a bucket of its own."""

import threading
import time
from collections.abc import Mapping


class TokenBucket:
    """`burst` requests at once, `rate` per second in the long run."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self._refill() < 1:
                return False
            self._tokens -= 1
            return True

    def left(self) -> float:
        """The tokens that are left; below 0 after more than that was spent."""
        with self._lock:
            return self._refill()

    def spend(self, tokens: float) -> None:
        """Take this many even if there are fewer."""
        with self._lock:
            self._refill()
            self._tokens -= tokens

    def _refill(self) -> float:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens


class Throttle:
    """`limits` maps `*/*` or `path/METHOD` to (rate, burst)."""

    def __init__(self, limits: Mapping[str, tuple[float, float]]) -> None:
        self._limits = limits
        self._buckets: dict[str, TokenBucket] = {}

    def allows(self, method: str) -> bool:
        limit = self._limits.get(method) or self._limits.get("*/*")
        return limit is None or self._buckets.setdefault(method, TokenBucket(*limit)).take()
