"""Refunds of unapplied payments: money received that settles no booking."""

from collections.abc import Callable

from shared.adapters import step_functions
from shared.contracts.states import RefundExecutionInput
from shared.domain.errors import NotificationFailed


def start_unapplied_refund(refund: RefundExecutionInput, notify: Callable[[], object]) -> bool:
    """Notify the operators, then start the refund; False if its execution exists.

    If `notify` fails, the refund is started all the same. Then raises NotificationFailed, so that the caller repeats.
    """
    try:
        notify()
    except NotificationFailed:
        step_functions.start_refund(refund.refund_id, refund)
        raise
    return step_functions.start_refund(refund.refund_id, refund)
