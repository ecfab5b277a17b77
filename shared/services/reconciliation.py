"""What a run of the reconciler reports: what it found, what failed, and what operators have to know."""

from collections.abc import Callable, Iterable, Mapping

from shared.adapters import payment_items
from shared.adapters.notifications import notify_operators
from shared.domain.models import Payment
from shared.observability import count, log_failure, logger

MAX_RESTARTS = 3  # of a payment's or a refund's execution; after that a person has to find out why they fail


class Report:
    """What one run found, counted by kind, and how many items it could not reconcile."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}
        self.failures = 0

    def record(self, kind: str, **keys: str) -> None:
        """Count and log one item of this kind; `keys` are the ids to log with it."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        count("Reconciled", kind=kind)
        logger.info("reconciled", extra={"kind": kind, **keys})

    def for_each[Item](self, items: Iterable[Item], action: Callable[[Item], None]) -> None:
        """Call `action` with each item. Neither a failing item nor a list that cannot be read stops the run."""
        try:
            for item in items:
                self._try(item, action)
        except Exception as error:  # noqa: BLE001 - the next list must still be read
            self.failures += 1
            log_failure("cannot list items", error)

    def _try[Item](self, item: Item, action: Callable[[Item], None]) -> None:
        try:
            action(item)
        except Exception as error:  # noqa: BLE001 - the next item must still be reconciled
            self.failures += 1
            # Keep events and execution inputs out of the log; their ids are bound already.
            log_failure("cannot reconcile", error, item=None if isinstance(item, Mapping) else str(item))


def notify_once(mark: str, name: str, payment: Payment, what: str) -> bool:
    """Notify the operators unless the payment carries `mark`; return whether this call notified them first.

    The mark is written after the notification: a crash in between repeats the notification rather than losing it.
    """
    if mark in (payment.notified or ()):
        return False
    notify(name, payment, what)
    return payment_items.record_notified(payment, mark)


def notify(name: str, payment: Payment, what: str) -> None:
    """Notify the operators; `name` is a section of docs/operations.md. Raises NotificationFailed."""
    notify_operators(
        f"{name}: {payment.reservation_id}"[:100],
        f"{name}: reservation {payment.reservation_id}, payment {payment.payment_id}: {what}.",
    )
