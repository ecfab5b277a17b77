"""Reconciles our ledger with the balance transactions of the Stripe account, day by day. Runs every morning.

Changes: the day's files in the ledger bucket; opens and closes matters `ledger_mismatch`; publishes LedgerReconciled.
It never changes the ledger itself or moves money: its key of Stripe's need not do more than read.
Safe to run twice, for any day, and beside itself: a day's result follows from what Stripe and the ledger hold, and its
summary is written last. A day for which time is too short goes on in the next run.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from shared.adapters.secrets import stripe_key
from shared.contracts.ledger_summary import ReconcileLedgerInput
from shared.observability import entry_point
from shared.services.ledger_closing import days_to_reconcile, reconcile_day
from shared.settings import reporting_settings

BUDGET = 600.0  # seconds, after which nothing more is begun; a page or batch takes up to half a minute


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the number of differences of each day that was finished, and the day that is not.

    Raises StripeUnavailable, StripeRefused, StoreBusy.
    """
    request = ReconcileLedgerInput.model_validate(event)
    now, end = datetime.now(UTC), time.monotonic() + BUDGET

    def time_over() -> bool:
        return time.monotonic() > end

    days = days_to_reconcile(now) if request.day is None else iter([date.fromisoformat(request.day)])
    with stripe_key(reporting_settings().stripe_reporting_key_parameter):
        return _reconcile(days, time_over, now)


def _reconcile(days: Iterator[date], time_over: Callable[[], bool], now: datetime) -> dict[str, Any]:
    differences: dict[str, int] = {}
    for day in days:
        summary = None if time_over() else reconcile_day(day, time_over, now)
        if summary is None:
            return {"differences": differences, "unfinished": day.isoformat()}
        differences[summary.day] = len(summary.differences)
    return {"differences": differences}
