"""shared.adapters.refund_ledger: entries and totals are written together, or not at all."""

from typing import Any

import pytest

from shared.adapters import refund_ledger
from shared.adapters.audit import read_audit
from shared.adapters.dynamodb import to_item
from shared.adapters.payment_items import read_payment
from shared.domain.ledger import enter_dashboard_refund
from shared.domain.models import Dispute, Payment, Refund, RefundReason
from tests.harness.builders import HOUR, NOW, TOTAL, capture, payment, refund
from tests.harness.stored_tables import Stored

PAID = payment(status="completed", captures={"pi_1": capture(role="booking")})
RESERVED = PAID.model_copy(update={"refunds": {"G1": refund()}, "refund_pending_amount": 500})
DISPUTE = Dispute(status="needs_response", payment_intent="pi_1", amount=TOTAL, opened_at=NOW)


def read() -> Payment:
    found = read_payment("PAY-RES-1")
    assert found is not None
    return found


def enter(before: Payment, taken: Refund) -> None:
    entered = enter_dashboard_refund(before, "re_1", taken, NOW)
    assert entered is not None
    assert refund_ledger.record_dashboard_refund(before, "re_1", *entered, now=NOW)


def test_a_settled_refund_changes_entry_totals_and_status(stored: Stored) -> None:
    stored.payment(RESERVED)
    settled = refund(status="succeeded", stripe_refund_id="re_1", settled_at=NOW)
    assert refund_ledger.update_refund(RESERVED, "G1", settled, now=NOW)
    after = read()
    assert after.refunds["G1"] == settled
    assert (after.status, after.refund_amount, after.refund_pending_amount) == ("partially_refunded", 500, 0)
    assert "refunding" not in stored.get("payments", "PAY-RES-1")


@pytest.mark.defect("D-13")
def test_a_ledger_that_changed_meanwhile_is_not_overwritten(stored: Stored) -> None:
    stored.payment(RESERVED.model_copy(update={"refund_pending_amount": 700}))
    assert not refund_ledger.update_refund(RESERVED, "G1", refund(status="failed"), now=NOW)
    assert read().refunds["G1"].status == "pending"


@pytest.mark.defect("D-13")
@pytest.mark.parametrize("changes", [{"status": "requires_action"}, {"amount": 400}, {"attempt": 2}])
def test_an_entry_that_changed_meanwhile_is_not_overwritten(stored: Stored, changes: dict[str, Any]) -> None:
    """The totals may be the same."""
    stored.payment(RESERVED.model_copy(update={"refunds": {"G1": refund(**changes)}}))
    before = read()
    assert not refund_ledger.update_refund(RESERVED, "G1", refund(status="succeeded"), now=NOW)
    assert read() == before


@pytest.mark.parametrize(
    "changes", [{"status": "under_review"}, {"closed_at": NOW}, {"status": "lost", "closed_at": NOW}]
)
def test_a_dispute_that_changed_meanwhile_is_not_overwritten(stored: Stored, changes: dict[str, Any]) -> None:
    """A closed one is not opened again."""
    stored.payment(PAID.model_copy(update={"disputes": {"du_1": DISPUTE.model_copy(update=changes)}}))
    before, known = read(), PAID.model_copy(update={"disputes": {"du_1": DISPUTE}})
    assert not refund_ledger.record_dispute(known, "du_1", DISPUTE, now=NOW)
    assert not refund_ledger.record_dispute(PAID, "du_1", DISPUTE, now=NOW)
    assert read() == before


@pytest.mark.defect("D-31")
def test_a_dashboard_refund_takes_from_its_capture_and_returns_what_it_failed_to_refund(stored: Stored) -> None:
    stored.payment(PAID)
    taken = refund(kind="dashboard", status="succeeded", stripe_refund_id="re_1")
    enter(PAID, taken)
    after = read()
    assert (after.captures["pi_1"].refundable, after.refund_amount) == (TOTAL - 500, 500)
    failed = taken.model_copy(update={"status": "failed"})
    enter(after, failed)
    assert (read().captures["pi_1"].refundable, read().refund_amount) == (TOTAL, 0)


def test_the_newest_reason_is_kept_until_the_refund_is_reserved(stored: Stored) -> None:
    first, second = (RefundReason(text=text, requested_by="operator:1") for text in ("noise", "late"))
    stored.payment(PAID)
    for reason in (first, second):
        assert refund_ledger.record_refund_reason(PAID, "G1", reason)
    assert read().refund_reasons == {"G1": second}
    stored.change("PAY-RES-1", refunds={"G1": to_item(refund())})
    assert not refund_ledger.record_refund_reason(PAID, "G1", first)
    assert read().refund_reasons == {"G1": second}


def test_an_answer_is_taken_only_while_the_refund_waits_with_this_token(stored: Stored) -> None:
    stored.payment(payment(refunds={"G1": refund(awaiting="operator", task_token="token")}))
    given: Any = {"answer": "retry", "note": "called the guest", "by": "operator:1", "now": NOW}
    assert not refund_ledger.record_answer("PAY-RES-1", "G1", token="former", **given)
    assert refund_ledger.record_answer("PAY-RES-1", "G1", token="token", **given)
    assert (read().refunds["G1"].note, read().refunds["G1"].answered_by) == ("called the guest", "operator:1")
    [entry] = read_audit("PAY-RES-1")
    assert (entry.action, entry.subject, entry.reason) == ("refund_answered", "G1", "retry: called the guest")


@pytest.mark.defect("D-39")
def test_news_that_was_read_before_a_dispute_closed_does_not_open_it_again(stored: Stored) -> None:
    stored.payment(PAID)
    closed = DISPUTE.model_copy(update={"status": "won", "closed_at": NOW + HOUR})
    assert refund_ledger.record_dispute(PAID, "du_1", DISPUTE, now=NOW)
    before = read()
    assert refund_ledger.record_dispute(before, "du_1", closed, now=NOW)
    assert not refund_ledger.record_dispute(before, "du_1", DISPUTE, now=NOW)
    assert read().disputes["du_1"] == closed


def test_a_requested_check_is_recorded_until_it_is_cleared(stored: Stored) -> None:
    stored.payment(RESERVED)
    assert refund_ledger.request_refund_check("PAY-RES-1", "G1", now=NOW)
    assert read().refunds["G1"].check_requested_at == NOW
    assert refund_ledger.clear_refund_check("PAY-RES-1", "G1")
    assert read().refunds["G1"].check_requested_at is None
    assert not refund_ledger.request_refund_check("PAY-RES-1", "unknown", now=NOW)
