"""shared.adapters.webhook_events: an event is recorded once, and deleted after 90 days."""

from datetime import timedelta

import pytest

from shared.adapters import webhook_events
from tests.harness.builders import NOW
from tests.harness.stored_tables import Stored


def test_a_failed_event_is_not_processed_until_a_repeat_succeeds(stored: Stored) -> None:
    assert not webhook_events.event_processed("evt_1")
    assert webhook_events.record_event("evt_1", {"processing_result": "error"}, now=NOW)
    assert not webhook_events.event_processed("evt_1")
    assert webhook_events.record_event("evt_1", {"processing_result": "success"}, now=NOW)
    assert webhook_events.event_processed("evt_1")


def test_a_processed_event_is_recorded_once(stored: Stored) -> None:
    assert webhook_events.record_event("evt_1", {"processing_result": "skipped"}, now=NOW)
    for result in ("success", "error"):
        assert not webhook_events.record_event("evt_1", {"processing_result": result}, now=NOW)
    assert stored.get("events", "evt_1")["processing_result"] == "skipped"


@pytest.mark.defect("D-28")
def test_a_record_expires_and_leaves_out_what_is_unknown(stored: Stored) -> None:
    fields = {"processing_result": "skipped", "payment_id": None}
    webhook_events.record_event("evt_1", fields, now=NOW)
    expires_at = int((NOW + timedelta(days=90)).timestamp())
    assert stored.get("events", "evt_1") == {"event_id": "evt_1", "processing_result": "skipped", "ttl": expires_at}
