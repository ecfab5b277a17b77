"""Which days are to be reconciled, and what is written and published of a day that is finished."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from shared.adapters import ledger_days, ledger_files, payment_items
from shared.adapters.notifications import publish
from shared.contracts.booking_events import LedgerReconciled
from shared.contracts.ledger_summary import DayProgress, LedgerDay
from shared.domain.ledger_matching import Difference, bounds
from shared.domain.models import Matter, iso
from shared.observability import count, logger
from shared.services.ledger_run import RETURNED, DayRun

DAYS = 35  # how long a day is watched: as long as a refund may fail after it has succeeded, and a few days more
PROGRESS_KEPT = timedelta(days=1)
# An entry is listed by an index a moment after it was written.
INDEX_DELAY = timedelta(minutes=1)


def days_to_reconcile(now: datetime) -> Iterator[date]:
    """Yesterday and the days before that are not reconciled or have changed since, the newest first."""
    today = now.astimezone(UTC).date()
    known = ledger_files.days_since(today - timedelta(days=DAYS))
    for back in range(1, DAYS + 1):
        day = today - timedelta(days=back)
        summary = ledger_files.read_day(day) if day in known else None
        if summary is None or _changed(day, summary, known[day], today):
            yield day


def _changed(day: date, summary: LedgerDay, payouts: set[str], today: date) -> bool:
    reconciled_at = datetime.fromisoformat(summary.reconciled_at)
    differs = bool(summary.differences) and reconciled_at.date() < today
    return (
        not summary.final
        or differs
        or payouts != set(summary.payouts)
        or ledger_days.recorded_since(day, reconciled_at)
    )


def reconcile_day(day: date, time_over: Callable[[], bool], now: datetime) -> LedgerDay | None:
    """Reconcile a day, and return its summary; None if time is over before it is finished.

    Raises StripeUnavailable, StripeRefused, StoreBusy.
    """
    progress = ledger_files.read_progress(day)
    if progress is None or datetime.fromisoformat(progress.started_at) < now - PROGRESS_KEPT:
        progress = DayProgress(started_at=iso(now - INDEX_DELAY))
    if not DayRun(day, progress, time_over).work():
        ledger_files.write_progress(day, progress)
        return None
    summary = _close(day, progress, now)
    ledger_files.write_progress(day, None)
    return summary


def _close(day: date, progress: DayProgress, now: datetime) -> LedgerDay:
    """Write and publish the result. The summary is written last: until then everything is done again."""
    payouts, paid_out = _payouts_of(day)
    rows = sorted(progress.rows, key=lambda row: (row["created"], row["transaction"]))
    for row in rows:
        within = paid_out.get(row["transaction"], [])
        row["payout"] = " ".join(within)
        if len(within) > 1:
            twice = _paid_out_twice(row, within)
            progress.differences[twice.key] = twice
    differences = [progress.differences[key] for key in sorted(progress.differences)]
    before = ledger_files.read_day(day)
    summary = LedgerDay(
        day=day.isoformat(),
        reconciled_at=progress.started_at,
        final=bounds(day)[1] <= datetime.fromisoformat(progress.started_at),
        transactions=len(rows),
        ours=progress.ours,
        not_ours=progress.not_ours,
        net=_net(progress),
        payouts=payouts,
        differences=differences,
    )
    text = ledger_files.write_rows(day, rows)
    if summary.final:
        known = {} if before is None or not before.final else {one.key: one for one in before.differences}
        new = [one for one in differences if one.key not in known]
        _open_matters(day, new, now)
        _close_matters(day, [known[key] for key in known.keys() - progress.differences.keys()], now)
        count("LedgerDifferences", len(new))
        publish(_event(summary, text, now))
    ledger_files.write_day(summary)
    count("LedgerDays")
    logger.info("ledger reconciled", extra={"day": summary.day, "differences": len(differences)})
    return summary


def _payouts_of(day: date) -> tuple[list[str], dict[str, list[str]]]:
    """The payouts that contain money of the day, and by transaction those that the bank has not returned."""
    payouts = ledger_files.payouts_of(day)
    returned = {name.removesuffix(RETURNED) for name in payouts if name.endswith(RETURNED)}
    found: dict[str, list[str]] = {}
    for payout in payouts:
        if payout not in returned and not payout.endswith(RETURNED):
            for transaction in ledger_files.read_payout(day, payout):
                found.setdefault(transaction, []).append(payout)
    return payouts, found


def _paid_out_twice(row: dict[str, str], payouts: list[str]) -> Difference:
    return Difference(
        kind="paid_out_twice",
        subject=row["transaction"],
        payment_id=row["payment_id"],
        stripe=f"{row['transaction']} is in {' and '.join(payouts)}",
        ledger="one payout",
        off_by=int(row["net"]),
    )


def _net(progress: DayProgress) -> dict[str, int]:
    net: dict[str, int] = {}
    for totals in (progress.ours, progress.not_ours):
        for currency, of in totals.items():
            net[currency] = net.get(currency, 0) + sum(category.net for category in of.values())
    return net


def _open_matters(day: date, differences: list[Difference], now: datetime) -> None:
    for one in differences:
        if one.payment_id is not None:
            detail = f"{one.kind} on {day}: Stripe has {one.stripe}; the ledger has {one.ledger}"
            matter = Matter(
                kind="ledger_mismatch", subject=one.key, since=now, amount=abs(one.off_by) or None, detail=detail
            )
            payment_items.open_matter(one.payment_id, matter)


def _close_matters(day: date, differences: list[Difference], now: datetime) -> None:
    """Close the matters of differences that the day had before and no longer has."""
    for one in differences:
        payment = None if one.payment_id is None else payment_items.read_payment(one.payment_id)
        if payment is not None:
            key = f"ledger_mismatch:{one.key}"
            payment_items.close_matters(payment, [key], note=f"{day} is reconciled without it", now=now)


def _event(summary: LedgerDay, text: str, now: datetime) -> LedgerReconciled:
    """The same result has the same id."""
    result = summary.model_dump_json(exclude={"reconciled_at"}) + text
    return LedgerReconciled(
        event_id=f"LedgerReconciled-{summary.day}-{sha256(result.encode()).hexdigest()[:12]}",
        at=iso(now),
        day=summary.day,
        transactions=summary.transactions,
        differences=len(summary.differences),
        net=dict(summary.net),
    )
