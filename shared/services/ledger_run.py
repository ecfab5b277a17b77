"""The reconciliation of one day: Stripe's transactions against the ledger, then the ledger against Stripe's.

It can stop between two pages or batches and go on later, and may be repeated for any day: what it writes follows from
what Stripe and the ledger hold.
"""

from collections.abc import Callable, Iterator
from datetime import date
from itertools import batched

from shared.adapters import ledger_days, ledger_files, payment_items, stripe_balance
from shared.adapters.payment_batches import BATCH, read_owners, read_payments
from shared.contracts.ledger_summary import CategoryTotals, DayProgress, Totals
from shared.domain.ledger_matching import Difference, Entry, bounds, compare, compare_entry, day_of, final_entries
from shared.domain.models import FAILED, Payment, iso
from shared.domain.stripe_values import BalanceTransaction
from shared.observability import logger
from shared.services.ownership import prove_attempt
from shared.settings import settings

_MATCHED = {"charge", "refund", "dispute"}
_PAYOUTS = {"payout", "payout_failure", "payout_cancel", "payout_reversal"}
RETURNED = "-returned"  # ends the name of a payout that the bank has returned


class DayRun:
    """Reconciles `day` from where `progress` is; `time_over` says when to stop."""

    def __init__(self, day: date, progress: DayProgress, time_over: Callable[[], bool]) -> None:
        self.day, self.progress, self._time_over = day, progress, time_over

    def work(self) -> bool:
        """Go on, and return whether the day is finished. Raises StripeUnavailable, StripeRefused, StoreBusy."""
        return self._read_transactions() and self._check_entries() and self._read_payouts()

    def _read_transactions(self) -> bool:
        """Match the transactions of the day with entries, a page at a time."""
        since, until = bounds(self.day)
        while not self.progress.all_read:
            if self._time_over():
                return False
            page, last = stripe_balance.transactions_between(since, until, older_than=self.progress.after)
            owners = read_owners({moved.payment_intent for moved in page if moved.payment_intent is not None})
            for moved in page:
                self._match(moved, owners)
            self.progress.all_read = last
            self.progress.after = page[-1].id if page else None
        return True

    def _match(self, moved: BalanceTransaction, owners: dict[str, Payment]) -> None:
        if moved.category in _PAYOUTS and moved.source is not None:
            self._note_payout(moved, moved.source)
        owner = owners.get(moved.payment_intent or "") or self._prove(moved)
        if owner is None:
            _add(self.progress.not_ours, moved)
            return
        _add(self.progress.ours, moved)
        self.progress.rows.append(_row(owner, moved))
        difference = compare(owner, moved, stack=settings().stack)
        if difference is not None:
            self._record(owner, difference)
        if moved.category in _MATCHED and moved.source is not None and moved.source_status not in FAILED:
            self.progress.matched.add(moved.source)

    def _note_payout(self, moved: BalanceTransaction, payout: str) -> None:
        returned = moved.category != "payout" or moved.source_status in {"failed", "canceled"}
        if moved.category == "payout" and payout in self.progress.paid_out and not returned:
            twice = Difference(
                kind="paid_out_twice",
                subject=payout,
                payment_id=None,
                stripe=f"two transactions pay out {payout}",
                ledger="one payout",
                off_by=-moved.amount,
            )
            self.progress.differences[twice.key] = twice
        self.progress.paid_out[payout] = returned or self.progress.paid_out.get(payout, False)

    def _prove(self, moved: BalanceTransaction) -> Payment | None:
        """The payment of a transaction that no pointer leads to, if its metadata names one of ours."""
        payment_id, pi = moved.metadata.get("payment_id"), moved.payment_intent
        if pi is None or payment_id is None or moved.metadata.get("stack") != settings().stack:
            return None
        payment = payment_items.read_payment(payment_id)
        if payment is not None:
            return payment if prove_attempt(payment, pi) else None
        lost = Difference(
            kind="entry_missing",
            subject=moved.source or moved.id,
            payment_id=None,
            stripe=f"{moved.category} {moved.source} of {moved.source_amount} cents",
            ledger=f"there is no payment {payment_id}",
            off_by=moved.source_amount or 0,
        )
        self.progress.differences[lost.key] = lost
        return None

    def _check_entries(self) -> bool:
        """Look for the money of the day's entries that no transaction of the day has matched."""
        recorded = ledger_days.payments_of_day(self.day, since=self.progress.checked_until)
        for batch in batched(recorded, BATCH, strict=False):
            if self._time_over():
                return False
            for payment in read_payments({payment_id for payment_id, _ in batch}).values():
                for entry in self._unmatched(payment):
                    found = stripe_balance.transactions_of(entry.source)
                    difference = compare_entry(payment, entry, found)
                    if difference is not None:
                        self._record(payment, difference)
            self.progress.checked_until = batch[-1][1]
        return True

    def _unmatched(self, payment: Payment) -> Iterator[Entry]:
        entries = (entry for entry in final_entries(payment) if day_of(entry.at) == self.day)
        return (entry for entry in entries if entry.source not in self.progress.matched)

    def _record(self, payment: Payment, difference: Difference) -> None:
        """Record a difference, by its own name if a refund of the ledger has the charge's fee in it."""
        refunds = {*payment.refunds, *(refund.stripe_refund_id for refund in payment.refunds.values())}
        of_a_refund = difference.subject in refunds and difference.kind in {"wrong_amount", "money_missing"}
        if of_a_refund and abs(difference.off_by) in self._fees(payment):
            difference = difference.model_copy(update={"kind": "fee_counted_as_refund"})
        self.progress.differences[difference.key] = difference
        logger.warning("ledger differs", extra=difference.model_dump(exclude={"off_by"}))

    def _read_payouts(self) -> bool:
        """Record what the day's payouts contain, by the day of each transaction, a page at a time."""
        while self.progress.paid_out:
            payout, returned = next(iter(self.progress.paid_out.items()))
            if self._time_over():
                return False
            page, last = stripe_balance.transactions_paid_out(payout, older_than=self.progress.contents_after)
            for moved in page:
                self.progress.contents.setdefault(day_of(moved.created).isoformat(), []).append(moved.id)
            self.progress.contents_after = page[-1].id if page and not last else None
            if last:
                name = f"{payout}{RETURNED if returned else ''}"
                for day, contents in self.progress.contents.items():
                    ledger_files.write_payout(date.fromisoformat(day), name, contents)
                del self.progress.paid_out[payout]
                self.progress.contents = {}
        return True

    @staticmethod
    def _fees(payment: Payment) -> Iterator[int]:
        for capture in payment.captures.values():
            if capture.charge is not None:
                yield from (moved.fee for moved in stripe_balance.transactions_of(capture.charge) if moved.fee)


def _add(totals: Totals, moved: BalanceTransaction) -> None:
    of = totals.setdefault(moved.currency, {})
    of[moved.category] = of.get(moved.category, CategoryTotals()).plus(moved.amount, moved.fee, moved.net)


def _row(payment: Payment, moved: BalanceTransaction) -> dict[str, str]:
    """A line of the CSV; its payout is added when it is written."""
    return {
        "reservation_id": payment.reservation_id,
        "payment_id": payment.payment_id,
        "payment_intent": moved.payment_intent or "",
        "type": moved.category,
        "gross": str(moved.amount),
        "fee": str(moved.fee),
        "net": str(moved.net),
        "currency": moved.currency,
        "available_on": iso(moved.available_on)[:10],
        "created": iso(moved.created),
        "source": moved.source or "",
        "refund_id": moved.metadata.get("refund_id", ""),
        "transaction": moved.id,
    }
