"""What of our ledger differs from the money that Stripe moved, for one payment and one day.

Each balance transaction must have its entry, and each entry that is final its transaction. Stripe's time decides the
day of a transaction. The entry of a charge has the same time; those of refunds and disputes have the time at which we
heard of them, so they may be later.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from shared.domain.models import FAILED, SETTLED, Capture, Payment, Refund, Value
from shared.domain.stripe_values import BalanceTransaction

DifferenceKind = Literal[
    "money_missing",
    "entry_missing",
    "wrong_amount",
    "wrong_currency",
    "doubled_refund",
    "refund_of_another_stack",
    "dispute_missing",
    "fee_counted_as_refund",
    "wrong_day",
    "paid_out_twice",
]

CLOCKS_DIFFER = timedelta(hours=1)
# Stripe delivers for three days, and the reconciler asks about pending refunds once a day.
HEARD_LATE = timedelta(days=4)


class Difference(Value):
    """One difference; `stripe` and `ledger` say what each side has, in words; `off_by` is the difference in cents.

    `subject` is the charge, refund, dispute or transaction. Without a payment the money names a booking of this stack
    that has no payment item.
    """

    kind: DifferenceKind
    subject: str
    payment_id: str | None
    stripe: str
    ledger: str
    off_by: int = 0

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.subject}"


class Entry(Value):
    """A final entry of the ledger, whose money Stripe must have moved; `source` is the charge, refund or dispute."""

    source: str
    payment_intent: str
    kind: Literal["charge", "refund", "dispute"]
    name: str
    amount: int
    at: datetime


def day_of(moment: datetime) -> date:
    """Days are those of UTC, as in every stored time."""
    return moment.astimezone(UTC).date()


def bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def final_entries(payment: Payment) -> Iterator[Entry]:
    """The entries of a payment whose money must have moved."""
    for pi, capture in payment.captures.items():
        source = capture.charge or pi
        yield Entry(
            source=source, payment_intent=pi, kind="charge", name=pi, amount=capture.amount, at=capture.captured_at
        )
    for refund_id, refund in payment.refunds.items():
        if refund.status == "succeeded":
            yield Entry(
                source=refund.stripe_refund_id or refund_id,
                payment_intent=refund.payment_intent,
                kind="refund",
                name=refund_id,
                amount=refund.amount,
                at=refund.settled_at or refund.created_at,
            )
    for dispute_id, dispute in payment.disputes.items():
        if not dispute.inquiry and dispute.status != "prevented":
            yield Entry(
                source=dispute_id,
                payment_intent=dispute.payment_intent,
                kind="dispute",
                name=dispute_id,
                amount=dispute.amount,
                at=dispute.opened_at,
            )


def compare(payment: Payment, moved: BalanceTransaction, *, stack: str) -> Difference | None:
    """The difference between a transaction of the payment and its entry; None if they agree."""
    match moved.category:
        case "charge":
            return _compare_charge(payment, moved)
        case "refund":
            return _compare_refund(payment, moved, stack)
        case "dispute" | "dispute_reversal":
            return _compare_dispute(payment, moved)
        case _:
            return None


def compare_entry(payment: Payment, entry: Entry, found: Iterable[BalanceTransaction]) -> Difference | None:
    """The difference of a final entry whose transaction is not among those of its day, with all that Stripe has."""
    moved = [one for one in found if one.category == entry.kind]
    if not moved or moved[0].source_status in FAILED:
        stripe = "no such money" if not moved else "the refund failed"
        return _difference(payment, "money_missing", entry.name, stripe, _in_ledger(entry), off_by=entry.amount)
    if entry.kind == "dispute":
        return None
    return _wrong_day(payment, moved[0], entry.at, late=HEARD_LATE if entry.kind == "refund" else CLOCKS_DIFFER)


def _in_ledger(entry: Entry) -> str:
    return f"{entry.kind} {entry.name} of {entry.amount} cents on {day_of(entry.at)}"


def _difference(
    payment: Payment, kind: DifferenceKind, subject: str, stripe: str, ledger: str, *, off_by: int = 0
) -> Difference:
    return Difference(
        kind=kind, subject=subject, payment_id=payment.payment_id, stripe=stripe, ledger=ledger, off_by=off_by
    )


def _at_stripe(moved: BalanceTransaction) -> str:
    amount = moved.amount if moved.source_amount is None else moved.source_amount
    currency = moved.source_currency or moved.currency
    return f"{moved.category} {moved.source} of {amount} {currency} cents on {day_of(moved.created)}"


def _missing(payment: Payment, moved: BalanceTransaction, kind: DifferenceKind = "entry_missing") -> Difference:
    subject = moved.source or moved.id
    return _difference(payment, kind, subject, _at_stripe(moved), "no entry", off_by=moved.source_amount or 0)


def _compare_amount(
    payment: Payment, moved: BalanceTransaction, amount: int, currency: str | None, name: str
) -> Difference | None:
    subject = moved.source or moved.id
    ledger = f"{name}: {amount} {currency or ''} cents".replace("  ", " ")
    if currency is not None and moved.source_currency not in {None, currency}:
        return _difference(payment, "wrong_currency", subject, _at_stripe(moved), ledger)
    off_by = amount - (moved.source_amount or 0)
    if off_by:
        return _difference(payment, "wrong_amount", subject, _at_stripe(moved), ledger, off_by=off_by)
    return None


def _wrong_day(payment: Payment, moved: BalanceTransaction, at: datetime, *, late: timedelta) -> Difference | None:
    if moved.created - CLOCKS_DIFFER <= at <= moved.created + late:
        return None
    subject = moved.source or moved.id
    return _difference(payment, "wrong_day", subject, _at_stripe(moved), f"entry of {day_of(at)}")


def _compare_charge(payment: Payment, moved: BalanceTransaction) -> Difference | None:
    capture = payment.captures.get(moved.payment_intent or "")
    if capture is None:
        return _missing(payment, moved)
    return _compare_amount(payment, moved, capture.amount, capture.currency, "capture") or _wrong_day(
        payment, moved, capture.captured_at, late=CLOCKS_DIFFER
    )


def _compare_refund(payment: Payment, moved: BalanceTransaction, stack: str) -> Difference | None:
    if moved.metadata.get("stack") not in {None, stack}:
        other = moved.metadata["stack"]
        return _difference(
            payment, "refund_of_another_stack", moved.source or moved.id, _at_stripe(moved), f"made by {other}"
        )
    found = _entry_of_refund(payment, moved)
    failed = moved.source_status in FAILED
    if found is None:
        return None if failed else _missing(payment, moved)
    refund_id, refund = found
    if failed:
        return None  # what it moved comes back as a transaction of its own
    elsewhere = refund.stripe_refund_id not in {None, moved.source}
    if refund.status in SETTLED and (elsewhere or refund.status == "settled_elsewhere"):
        ledger = f"{refund_id} is settled by {refund.stripe_refund_id or 'another way'}"
        subject = moved.source or moved.id
        return _difference(
            payment, "doubled_refund", subject, _at_stripe(moved), ledger, off_by=moved.source_amount or 0
        )
    if refund.status in FAILED:
        return None if elsewhere else _missing(payment, moved)
    capture: Capture | None = payment.captures.get(refund.payment_intent)
    currency = None if capture is None else capture.currency
    difference = _compare_amount(payment, moved, refund.amount, currency, refund_id)
    if difference is None and refund.status == "succeeded":
        difference = _wrong_day(payment, moved, refund.settled_at or refund.created_at, late=HEARD_LATE)
    return difference


def _entry_of_refund(payment: Payment, moved: BalanceTransaction) -> tuple[str, Refund] | None:
    for refund_id, refund in payment.refunds.items():
        if moved.source in {refund.stripe_refund_id, refund_id}:
            return refund_id, refund
    named = moved.metadata.get("refund_id", "")
    return (named, payment.refunds[named]) if named in payment.refunds else None


def _compare_dispute(payment: Payment, moved: BalanceTransaction) -> Difference | None:
    dispute = payment.disputes.get(moved.source or "")
    if dispute is None:
        return _missing(payment, moved, "dispute_missing")
    if moved.category == "dispute_reversal":
        return None
    return _compare_amount(payment, moved, dispute.amount, None, "dispute")
