"""What of a payment needs a person: its open matters, opened and closed together with their causes.

Some matters follow from the payment item alone: a refund that failed, an open dispute, restarts that are exhausted.
Others are opened by a notification, and end when `matter_ended` says so, or when an operator closes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.ids import cancellation_id
from shared.domain.matter_kinds import MatterKind
from shared.domain.models import SETTLED, Matter, Payment


@dataclass(frozen=True)
class KindOfMatter:
    """`page` is its section of docs/operations.md; an operator may close it only if `closable`."""

    page: str
    closable: bool = True


KINDS: Mapping[MatterKind, KindOfMatter] = {
    "refund_failed": KindOfMatter("AwaitOperator", closable=False),
    "dispute": KindOfMatter("PaymentDisputed", closable=False),
    "restarts_exhausted": KindOfMatter("RestartsExhausted", closable=False),
    "payment_refused": KindOfMatter("PaymentRefused"),
    "session_unreadable": KindOfMatter("StripeRefused"),
    "payment_returned": KindOfMatter("PaymentReturned"),
    "cancelled_money_kept": KindOfMatter("CancelledMoneyKept"),
    "fraud_warning": KindOfMatter("FraudWarning"),
    "unmatched_charge": KindOfMatter("UnmatchedCharge"),
    "refund_settled_twice": KindOfMatter("RefundSettledTwice"),
    "dashboard_refund_failed": KindOfMatter("DashboardRefundFailed"),
    "ledger_mismatch": KindOfMatter("LedgerMismatch"),
}


def matter_key(matter: Matter) -> str:
    """The key of a matter among those of its payment."""
    return matter.kind if matter.subject is None else f"{matter.kind}:{matter.subject}"


def open_matters(payment: Payment, now: datetime) -> dict[str, Matter]:
    """The matters of a payment as it is, by key; one that was open before keeps the time since when it is."""
    caused = {matter_key(matter): matter for matter in _caused(payment, now)}
    open_before = payment.attention
    kept = {key: matter for key, matter in open_before.items() if KINDS[matter.kind].closable}
    return {key: matter for key, matter in kept.items() if not matter_ended(payment, matter)} | {
        key: matter.model_copy(update={"since": open_before[key].since}) if key in open_before else matter
        for key, matter in caused.items()
    }


def _caused(payment: Payment, now: datetime) -> Iterator[Matter]:
    """The matters that last exactly as long as the item shows their cause."""
    for refund_id, refund in payment.refunds.items():
        if refund.status == "failed" and refund.unsettled:
            yield Matter(kind="refund_failed", subject=refund_id, since=now, amount=refund.amount)
    for dispute_id, dispute in payment.disputes.items():
        if dispute.closed_at is None:
            amount, deadline = dispute.amount, dispute.due_by
            yield Matter(kind="dispute", subject=dispute_id, since=now, amount=amount, deadline=deadline)
    for key, replacement in payment.replacements.items():
        if replacement.exhausted:
            yield Matter(kind="restarts_exhausted", subject=key, since=now)


def matter_ended(payment: Payment, matter: Matter) -> bool:
    """Whether what a notification was about is over."""
    match matter.kind:
        case "payment_refused":
            current = payment.current
            return payment.status != "pending" or (current is not None and current.opened_at > matter.since)
        case "session_unreadable":
            attempt = payment.attempts.get(matter.subject or "")
            return payment.status == "pending" and (attempt is None or attempt.status in {"closed", "paid"})
        case "payment_returned":
            return payment.status != "pending"
        case "cancelled_money_kept":
            return cancellation_id(payment.payment_id) in payment.refunds
        case "fraud_warning":
            pi = matter.subject or ""
            # What a refund was to avoid has come, even if the bank has decided by now.
            disputed = any(one.payment_intent == pi and not one.inquiry for one in payment.disputes.values())
            return disputed or _returned(payment, pi) >= payment.captures[pi].amount
        case _:  # it is about something that this system does not see
            return False


def _returned(payment: Payment, pi: str) -> int:
    """What refunds have returned of a charge, or have reserved."""
    return sum(
        refund.amount
        for refund in payment.refunds.values()
        if refund.payment_intent == pi and (refund.unsettled or refund.status in SETTLED)
    )
