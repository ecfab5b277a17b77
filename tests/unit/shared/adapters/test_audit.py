"""shared.adapters.audit: each change has its entry, and a change that is not made has none."""

from typing import Any

import pytest

from shared.adapters import bookings, payment_items, refund_ledger
from shared.adapters.audit import read_audit
from shared.domain.booking import Booking
from shared.domain.models import Dispute, Payment
from shared.domain.session_outcomes import never_opened
from tests.harness.booking_situations import paid, refunded
from tests.harness.builders import NOW, TOTAL, attempt, capture, paying, refund
from tests.harness.stored_tables import Stored

DISPUTE = Dispute(status="needs_response", payment_intent="pi_1", amount=TOTAL, opened_at=NOW)
CONFIRMING = paying(captures={"pi_1": capture()})
FAILED = refund(status="failed", failure_reason="lost_card")
DASHBOARD = refund(kind="dashboard", status="succeeded", stripe_refund_id="re_1")


def booking_of(of: Payment, status: str) -> Booking:
    reservation, _ = bookings.read_booking_items("RES-1")
    assert reservation is not None
    held = frozenset(("2026-12-20", "2026-12-21"))
    return Booking(reservation=reservation.model_copy(update={"status": status}), payment=of, held=held)


# Each call is a change, or says nothing about whether it was one.
REPEATABLE = {"a request to cancel", "a granted attempt", "an attempt that failed"}
CHANGES: dict[str, tuple[Payment, str, Any, list[tuple[Any, ...]]]] = {
    "a request to cancel": (
        paying(),
        "pending",
        lambda of: payment_items.request_cancel(of, by="guest:guest-1", now=NOW),
        [("cancel_requested", None, None, None)],
    ),
    "a granted attempt": (
        paying(),
        "pending",
        lambda of: payment_items.grant_attempt(of.payment_id, now=NOW),
        [("attempt_granted", None, None, None)],
    ),
    "an attempt that failed": (
        paying(),
        "pending",
        lambda of: payment_items.record_session_outcomes(of, {"1": never_opened(attempt(), "expired", NOW)}, now=NOW),
        [("attempt_closed", "1", None, "expired")],
    ),
    "a confirmation": (
        CONFIRMING,
        "pending",
        lambda of: bookings.confirm_reservation(booking_of(of, "pending"), "pi_1", of.captures["pi_1"], now=NOW),
        [("booking_confirmed", "pi_1", TOTAL, None)],
    ),
    "a release": (
        paying(),
        "pending",
        lambda of: bookings.release_hold(booking_of(of, "pending"), status="expired", now=NOW),
        [("hold_released", None, None, "hold_ended")],
    ),
    "a cancellation": (
        paid(),
        "confirmed",
        lambda of: bookings.reserve_refund(
            booking_of(of, "confirmed"), "G1", refund(reason="ill"), cancel_stay=True, now=NOW
        ),
        [("booking_cancelled", "G1", 500, "ill")],
    ),
    "a goodwill refund": (
        paid(),
        "confirmed",
        lambda of: bookings.reserve_refund(booking_of(of, "confirmed"), "G1", refund(), cancel_stay=False, now=NOW),
        [("refund_requested", "G1", 500, None)],
    ),
    "a refund that failed": (
        refunded("pending"),
        "confirmed",
        lambda of: refund_ledger.update_refund(of, "G1", FAILED, now=NOW),
        [("refund_failed", "G1", 500, "lost_card")],
    ),
    "a refund in the dashboard that settles ours": (
        refunded("failed", amount=TOTAL),
        "confirmed",
        lambda of: refund_ledger.record_dashboard_refund(
            of,
            "re_1",
            0,
            {"re_1": DASHBOARD, "G1": of.refunds["G1"].model_copy(update={"status": "settled_elsewhere"})},
            now=NOW,
        ),
        [("dashboard_refund_recorded", "re_1", 500, "succeeded"), ("refund_settled_elsewhere", "G1", TOTAL, None)],
    ),
    "a dispute": (
        paid(),
        "confirmed",
        lambda of: refund_ledger.record_dispute(of, "dp_1", DISPUTE, now=NOW),
        [("dispute_recorded", "dp_1", TOTAL, "needs_response")],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_written_with_its_entry_or_not_at_all(stored: Stored, change: str) -> None:
    of, status, make, expected = CHANGES[change]
    stored.reservation(status=status)
    stored.payment(of)
    make(of)
    entries = sorted(read_audit("PAY-RES-1"), key=lambda entry: entry.action)
    assert [(entry.action, entry.subject, entry.amount, entry.reason) for entry in entries] == expected
    assert {(entry.actor, entry.correlation_id, entry.at) for entry in entries} == {("workflow:RES-1", "RES-1", NOW)}


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in REPEATABLE])
def test_a_change_that_was_made_already_is_refused_with_its_entry(stored: Stored, change: str) -> None:
    of, status, make, expected = CHANGES[change]
    stored.reservation(status=status)
    stored.payment(of)
    assert [make(of), make(of)] == [True, False]
    assert len(stored.all("audit")) == len(expected)


def test_entries_are_read_in_the_order_in_which_they_were_made(stored: Stored) -> None:
    stored.payment(paying())
    for _ in range(3):
        payment_items.grant_attempt("PAY-RES-1", now=NOW)
    stored.put("audit", stored.all("audit")[0] | {"at_id": "2026-11-01T00:00:00.000Z#1"})
    assert [entry.at.day for entry in read_audit("PAY-RES-1")] == [1, 24, 24, 24]
    assert read_audit("PAY-RES-2") == []
