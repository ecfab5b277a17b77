"""Invariant 17: what needs a person has an open matter, and what is over has none.

What is open is read from Stripe, the refund ledger and the notifications, not from the rules of shared/domain/matters.
"""

import re
from collections.abc import Iterator

from tests.harness.booking_reader import Json
from tests.properties.simulation.snapshots import BookingSnapshot

# Who is notified of these sees to it: the system cannot see whether it is over.
UNTIL_CLOSED = {
    "UnmatchedCharge": "unmatched_charge",
    "DashboardRefundFailed": "dashboard_refund_failed",
    "RefundSettledTwice": "refund_settled_twice",
}
DECIDED = {"won", "lost", "warning_closed"}


def check_matters(booking: BookingSnapshot) -> Iterator[str]:
    found = set(booking.payment.get("attention", {}))
    causes = set(_causes(booking))
    missing = causes - found - booking.driver.closed_matters
    if booking.driver.steps_done["restored"]:
        # What a notification had opened went back with the item; the notification itself has been sent.
        missing -= set(_notified_causes(booking))
    for cause in sorted(missing):
        yield f"17: nobody is asked to see to {cause}"
    for matter in sorted(found - causes):
        if not (matter.startswith("session_unreadable:") and booking.payment["status"] != "pending"):
            yield f"17: {matter} is open and over"


def _causes(booking: BookingSnapshot) -> Iterator[str]:
    yield from _stored_causes(booking)
    yield from _fraud_warnings(booking)
    yield from _notified_causes(booking)


def _stored_causes(booking: BookingSnapshot) -> Iterator[str]:
    """Failed refunds, open disputes, and replacements that nobody makes any more."""
    for refund_id, entry in booking.ledger.items():
        if entry["status"] == "failed" and entry["kind"] != "dashboard":
            yield f"refund_failed:{refund_id}"
    for dispute in booking.disputes:
        if dispute["status"] not in DECIDED:
            yield f"dispute:{dispute['id']}"
    for key, replacement in booking.payment.get("replacements", {}).items():
        if replacement["step"] >= 5 and replacement.get("start_at"):
            yield f"restarts_exhausted:{key}"


def _fraud_warnings(booking: BookingSnapshot) -> Iterator[str]:
    for pi in booking.booking_captures:
        # While the bank only inquires, a refund can still avoid the dispute.
        disputed = any(
            one["payment_intent"] == pi and not one["status"].startswith("warning_") for one in booking.disputes
        )
        warned = any(warning["payment_intent"] == pi for warning in booking.fraud_warnings)
        if warned and not disputed and _kept(booking, pi) > 0:
            yield f"fraud_warning:{pi}"


def _notified_causes(booking: BookingSnapshot) -> Iterator[str]:
    for text in booking.notifications:
        name = text.partition(":")[0]
        if name in UNTIL_CLOSED and "the execution" not in text:
            subject = re.search(r"\b(?:pi|re)_\w+", text)
            yield f"{UNTIL_CLOSED[name]}:{subject[0] if subject else None}"
        if name == "CancelledMoneyKept" and f"{booking.payment['payment_id']}-cancellation" not in booking.ledger:
            yield "cancelled_money_kept"


def _kept(booking: BookingSnapshot, pi: str) -> int:
    """Cents of a charge that no refund has returned or reserves."""
    entries = [entry for entry in booking.ledger.values() if entry["payment_intent"] == pi]
    gone = sum(int(entry["amount"]) for entry in entries if _takes(entry))
    return int(booking.captures[pi]["amount"]) - gone


def _takes(entry: Json) -> bool:
    """Whether a refund reserves or has returned its amount; one that failed in the dashboard does neither."""
    status, kind = entry["status"], entry["kind"]
    return bool(kind != "dashboard" if status == "failed" else status != "canceled")
