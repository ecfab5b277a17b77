"""What a run of the reconciler reports: what it found, what failed, what it left, and what operators have to know."""

import threading
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial

from shared.adapters import payment_items
from shared.adapters.audit import record_notification
from shared.adapters.notifications import notify_operators
from shared.domain.models import Matter, Payment
from shared.observability import count, log_failure, logger

# The quota of DescribeExecution, which most payments that are due need once.
PAYMENTS_PER_SECOND = 15


class Report:
    """What one run found, counted by kind, how many items it could not reconcile, and how many it had no time for.

    Several threads write it; `budget` is in seconds.
    """

    def __init__(self, budget: float) -> None:
        self.kinds: dict[str, int] = {}
        self.failures = self.left = 0
        self.oldest_left: datetime | None = None
        self._end = time.monotonic() + budget
        self._turn = 0.0
        self._lock = threading.Lock()

    @property
    def time_over(self) -> bool:
        return time.monotonic() > self._end

    def wait_for_turn(self) -> None:
        """Wait until another payment may be checked: all threads together check so many a second."""
        with self._lock:
            now = time.monotonic()
            self._turn = max(now, self._turn + 1 / PAYMENTS_PER_SECOND)
            wait = self._turn - now
        time.sleep(wait)

    def record(self, kind: str, **keys: str) -> None:
        """Count and log one item of this kind; `keys` are the ids to log with it."""
        with self._lock:
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
        count("Reconciled", kind=kind)
        logger.info("reconciled", extra={"kind": kind, **keys})

    def leave(self, items: int, oldest: datetime | None = None) -> None:
        """Record items that the run has no time for, and since when the oldest of them is due."""
        with self._lock:
            self.left += items
            if oldest is not None and (self.oldest_left is None or oldest < self.oldest_left):
                self.oldest_left = oldest

    def work_off[Item](self, items: Iterable[Item], action: Callable[[Item], None]) -> Item | None:
        """Call `action` with each item until time is over, and return the first item that is left.

        An item that fails does not stop the others.
        """
        for item in items:
            if self.time_over:
                return item
            self.attempt(partial(action, item))
        return None

    def attempt(self, action: Callable[[], None]) -> bool:
        """Call `action`; log and count its failure, and return whether it succeeded."""
        try:
            copy_context().run(action)  # its keys are not those of the next item's log lines
        except Exception as error:  # noqa: BLE001 - what comes next must still be reconciled
            with self._lock:
                self.failures += 1
            log_failure("cannot reconcile", error)
            return False
        return True


def notify_once(mark: str, name: str, payment: Payment, what: str, matter: Matter | None = None) -> bool:
    """Notify the operators unless the payment carries `mark`; return whether this call notified them first.

    The mark is written after the notification, together with the matter that it opens: a crash in between repeats the
    notification rather than losing it. Raises NotificationFailed, StoreBusy.
    """
    if mark in (payment.notified or ()):
        return False
    notify(name, payment, what)
    return payment_items.record_notified(payment, mark, matter)


def notify(name: str, payment: Payment, what: str) -> None:
    """Notify the operators, and record that; `name` is a section of docs/operations.md.

    Raises NotificationFailed, StoreBusy.
    """
    notify_operators(
        f"{name}: {payment.reservation_id}"[:100],
        f"{name}: reservation {payment.reservation_id}, payment {payment.payment_id}: {what}. "
        f"See docs/operations.md#{name.lower()}.",
    )
    record_notification(payment.payment_id, name, now=datetime.now(UTC))
