"""shared.services.dispute_events: what is recorded of a dispute, and when operators are notified."""

import pytest

from tests.harness.builders import capture
from tests.harness.webhook_deliveries import Json, Webhook, dashboard_event, deliver


def dispute_event(kind: str, status: str, event_id: str) -> Json:
    return dashboard_event(f"charge.dispute.{kind}", id="dp_1", status=status) | {"id": event_id}


@pytest.fixture
def disputed(webhook: Webhook) -> Webhook:
    """A paid booking whose guest's bank has opened a dispute."""
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    assert deliver(dispute_event("created", "needs_response", "evt_1"))[1]["processing_result"] == "success"
    return webhook


@pytest.mark.defect("D-31")
def test_a_dispute_is_recorded_and_operators_are_notified(disputed: Webhook) -> None:
    dispute = disputed.item["disputes"]["dp_1"]
    assert (dispute["status"], dispute["payment_intent"], dispute["amount"]) == ("needs_response", "pi_1", 500)
    assert "closed_at" not in dispute
    assert disputed.aws.notified == ["PaymentDisputed"]


def test_an_update_is_recorded_without_a_notification(disputed: Webhook) -> None:
    assert deliver(dispute_event("updated", "under_review", "evt_2"))[1]["processing_result"] == "success"
    assert disputed.item["disputes"]["dp_1"]["status"] == "under_review"
    assert disputed.aws.notified == ["PaymentDisputed"]


@pytest.mark.defect("D-39")
def test_an_event_older_than_the_closing_one_changes_nothing(disputed: Webhook) -> None:
    deliver(dispute_event("closed", "won", "evt_2"))
    closed = disputed.item
    assert closed["disputes"]["dp_1"]["closed_at"] == "2026-11-24T15:00:00.000Z"
    assert deliver(dispute_event("updated", "under_review", "evt_3"))[1]["processing_result"] == "duplicate"
    assert disputed.item == closed
    assert disputed.aws.notified == ["PaymentDisputed", "PaymentDisputed"]
