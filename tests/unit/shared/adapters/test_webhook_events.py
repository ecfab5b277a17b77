"""shared.adapters.webhook_events: an event is recorded once, and deleted after 90 days."""

from datetime import timedelta

import pytest

from shared.adapters import pointers, webhook_events
from shared.adapters.pointers import Pointer
from shared.adapters.webhook_events import StoredForEvent
from tests.harness.builders import NOW, paying
from tests.harness.stored_tables import Stored


def processed(event_id: str) -> bool:
    return webhook_events.read_for_event(event_id, pi=None, payment_id=None).processed


def test_a_failed_event_is_not_processed_until_a_repeat_succeeds(stored: Stored) -> None:
    assert not processed("evt_1")
    assert webhook_events.record_event("evt_1", {"processing_result": "error"}, now=NOW)
    assert not processed("evt_1")
    assert webhook_events.record_event("evt_1", {"processing_result": "success"}, now=NOW)
    assert processed("evt_1")


def test_a_processed_event_is_recorded_once(stored: Stored) -> None:
    assert webhook_events.record_event("evt_1", {"processing_result": "skipped"}, now=NOW)
    for result in ("success", "error"):
        assert not webhook_events.record_event("evt_1", {"processing_result": result}, now=NOW)
    assert stored.get("events", "evt_1")["processing_result"] == "skipped"


def test_one_request_reads_what_an_event_needs(stored: Stored) -> None:
    stored.payment(paying())
    pointers.record_pointer("pi_1", Pointer("PAY-RES-2", "1"))
    found = webhook_events.read_for_event("evt_1", pi="pi_1", payment_id="PAY-RES-1")
    assert (found.processed, found.pointer) == (False, Pointer("PAY-RES-2", "1"))
    assert found.named is not None
    assert found.named.payment_id == "PAY-RES-1"
    assert webhook_events.read_for_event("evt_1", pi="pi_2", payment_id="PAY-RES-2") == StoredForEvent(processed=False)


@pytest.mark.defect("D-28")
def test_a_record_expires_and_leaves_out_what_is_unknown(stored: Stored) -> None:
    fields = {"processing_result": "skipped", "payment_id": None}
    webhook_events.record_event("evt_1", fields, now=NOW)
    expires_at = int((NOW + timedelta(days=90)).timestamp())
    assert stored.get("events", "evt_1") == {"event_id": "evt_1", "processing_result": "skipped", "ttl": expires_at}
