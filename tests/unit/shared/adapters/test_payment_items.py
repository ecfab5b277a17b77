"""shared.adapters.payment_items: concurrent writes to the payment item keep each other's fields."""

import pytest

from shared.adapters import payment_items
from shared.domain.errors import StoreBusy
from shared.domain.models import iso
from shared.domain.session_outcomes import SessionOutcome, never_opened
from tests.harness.builders import HOUR, NOW, capture, opening, paying, reservation
from tests.harness.stored_tables import Stored

BEFORE = paying()
EXPIRED = {"1": never_opened(BEFORE.attempts["1"], "expired", NOW)}


def test_a_capture_that_was_recorded_in_between_is_kept(stored: Stored) -> None:
    stored.payment(BEFORE.model_copy(update={"captures": {"pi_1": capture(role="unapplied", refundable=0)}}))
    paid = SessionOutcome(EXPIRED["1"].attempt, captures={"pi_1": capture()})
    payment_items.record_session_outcomes(BEFORE, {"1": paid}, now=NOW)
    kept = stored.get("payments", "PAY-RES-1")["captures"]["pi_1"]
    assert (kept["role"], kept["refundable"]) == ("unapplied", 0)


def test_a_decline_that_was_recorded_in_between_is_kept(stored: Stored) -> None:
    """The webhook writes while a state runs; each writes only the fields that it knows."""
    stored.payment(BEFORE)
    assert payment_items.record_decline("PAY-RES-1", "1", "ch_9", "lost_card", "Lost.")
    payment_items.record_session_outcomes(BEFORE, EXPIRED, now=NOW)
    attempt = stored.get("payments", "PAY-RES-1")["attempts"]["1"]
    assert attempt["declines"] == {"ch_9": "lost_card"}
    assert (attempt["status"], attempt["failure_code"]) == ("closed", "lost_card")


def test_without_outcomes_nothing_is_written(stored: Stored) -> None:
    stored.payment(BEFORE)
    payment_items.record_session_outcomes(BEFORE, {}, now=NOW)
    assert stored.get("payments", "PAY-RES-1")["updated_at"] == iso(BEFORE.updated_at)


@pytest.mark.defect("D-05")
def test_outcomes_create_no_payment_item(stored: Stored) -> None:
    with pytest.raises(StoreBusy):
        payment_items.record_session_outcomes(BEFORE, EXPIRED, now=NOW)
    assert stored.all("payments") == []


@pytest.mark.parametrize("changes", [{"cancel_requested_at": NOW}, {"status": "expired"}, {"current_attempt": "2"}])
def test_no_attempt_is_opened_after_the_booking_changed(stored: Stored, changes: dict[str, object]) -> None:
    """A request to cancel included."""
    stored.payment(BEFORE.model_copy(update=changes))
    before = stored.get("payments", "PAY-RES-1")
    assert not payment_items.open_attempt(BEFORE, "2", opening(), reservation(), policy=[], now=NOW)
    assert stored.get("payments", "PAY-RES-1") == before


def test_refreshes_are_counted_one_by_one(stored: Stored) -> None:
    stored.payment(BEFORE)
    assert payment_items.claim_refresh(BEFORE, now=NOW)
    assert not payment_items.claim_refresh(BEFORE, now=NOW)
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["refreshes"] == 1


@pytest.mark.parametrize("existing", [True, False])
def test_a_payment_that_was_not_due_is_rescheduled_only_as_it_was_read(stored: Stored, *, existing: bool) -> None:
    """A signal that found nobody waiting has made it due since; and no item is created."""
    before = BEFORE.model_copy(update={"due_at": None})
    if existing:
        stored.payment(BEFORE)
    assert not payment_items.reschedule(before, before, NOW + HOUR, now=NOW)
    assert [item["due_at"] for item in stored.all("payments")] == ([iso(NOW)] if existing else [])
    stored.payment(before)
    assert payment_items.reschedule(before, before, NOW + HOUR, now=NOW)
