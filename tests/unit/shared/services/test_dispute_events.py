"""shared.services.dispute_events: what is recorded of a dispute, and when operators are notified."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.harness.builders import capture
from tests.harness.tables import in_table
from tests.harness.webhook_deliveries import Json, Webhook, dashboard_event, deliver

DUE_BY = datetime(2026, 12, 1, 12, tzinfo=UTC)


def dispute_event(kind: str, status: str, event_id: str, **fields: Any) -> Json:
    return dashboard_event(f"charge.dispute.{kind}", id="dp_1", status=status, **fields) | {"id": event_id}


def due(by: datetime | None) -> Json:
    return {"evidence_details": {"due_by": by and int(by.timestamp()), "submission_count": 0}}


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


@pytest.fixture
def inquired(webhook: Webhook) -> Webhook:
    """A paid booking about which the guest's bank only asks."""
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    deliver(dispute_event("created", "warning_needs_response", "evt_1", **due(DUE_BY)))
    return webhook


@pytest.mark.defect("R-06")
def test_operators_are_notified_of_an_inquiry_and_its_deadline(inquired: Webhook) -> None:
    assert inquired.item["disputes"]["dp_1"]["due_by"] == "2026-12-01T12:00:00.000Z"
    [message] = inquired.aws.messages
    assert "is warning_needs_response. It is an inquiry: refunds are still possible." in message
    assert message.endswith("Answer it in Stripe's dashboard by 2026-12-01T12:00:00.000Z.")


@pytest.mark.defect("R-06")
@pytest.mark.parametrize("kinds", [("updated", "funds_withdrawn"), ("funds_withdrawn", "updated")])
def test_an_inquiry_that_becomes_a_dispute_notifies_once_more(inquired: Webhook, kinds: tuple[str, str]) -> None:
    """Whichever of its events comes first."""
    for number, kind in enumerate(kinds):
        assert deliver(dispute_event(kind, "needs_response", f"evt_2{number}", **due(DUE_BY)))[0] == 200
    assert inquired.item["disputes"]["dp_1"]["status"] == "needs_response"
    [_, message] = inquired.aws.messages
    assert "dp_1 on reservation RES-1 is needs_response. Refunds are blocked" in message


@pytest.mark.defect("R-06", "D-03")
def test_an_escalation_is_notified_when_its_event_is_redelivered(inquired: Webhook) -> None:
    """The first delivery has recorded it but could not notify."""
    inquired.aws.refusals = 1
    escalation = dispute_event("updated", "needs_response", "evt_2")
    assert deliver(escalation)[0] == 503
    assert deliver(escalation)[0] == 200
    assert inquired.aws.notified == ["PaymentDisputed", "PaymentDisputed"]


@pytest.mark.defect("R-06", "D-39")
def test_an_event_older_than_the_escalation_does_not_turn_the_dispute_into_an_inquiry(disputed: Webhook) -> None:
    assert deliver(dispute_event("updated", "warning_under_review", "evt_2"))[1]["processing_result"] == "duplicate"
    assert disputed.item["disputes"]["dp_1"]["status"] == "needs_response"


@pytest.mark.defect("R-06", "D-39")
def test_the_opening_of_an_inquiry_that_comes_after_its_escalation_notifies_of_the_dispute(webhook: Webhook) -> None:
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    deliver(dispute_event("funds_withdrawn", "needs_response", "evt_1"))
    deliver(dispute_event("created", "warning_needs_response", "evt_2"))
    [message] = webhook.aws.messages
    assert "is needs_response. Refunds are blocked" in message


@pytest.mark.defect("R-06")
@in_table()
def test_a_deadline_that_changes_is_recorded_without_a_notification(
    inquired: Webhook, by: datetime | None, expected: str
) -> None:
    assert deliver(dispute_event("updated", "warning_needs_response", "evt_2", **due(by)))[0] == 200
    assert inquired.item["disputes"]["dp_1"]["due_by"] == expected
    assert inquired.aws.notified == ["PaymentDisputed"]


@pytest.mark.defect("R-06")
def test_an_appeal_opens_a_lost_dispute_again(disputed: Webhook) -> None:
    """Refunds stay blocked until it is won; operators hear of its deadline and of its outcome."""
    deliver(dispute_event("closed", "lost", "evt_2"))
    deliver(dispute_event("updated", "appeal_needs_response", "evt_3", **due(DUE_BY)))
    assert "closed_at" not in disputed.item["disputes"]["dp_1"]
    assert disputed.aws.messages[-1].endswith(
        "is appeal_needs_response. Refunds are blocked while it is open. "
        "Answer it in Stripe's dashboard by 2026-12-01T12:00:00.000Z."
    )
    deliver(dispute_event("closed", "won", "evt_4"))
    assert disputed.item["disputes"]["dp_1"]["closed_at"] == "2026-11-24T15:00:00.000Z"
    assert disputed.aws.messages[-1].endswith("is won. Refunds are possible.")


@pytest.mark.defect("R-06", "D-39")
def test_an_appeal_that_was_won_is_final(disputed: Webhook) -> None:
    for number, status in enumerate(["lost", "won", "appeal_under_review", "lost"]):
        deliver(dispute_event("updated", status, f"evt_2{number}"))
    assert disputed.item["disputes"]["dp_1"]["status"] == "won"


@pytest.mark.defect("R-06")
def test_a_prevented_dispute_is_closed_and_blocks_refunds(webhook: Webhook) -> None:
    """Its network has returned the money, and no closing event need follow."""
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    deliver(dispute_event("created", "prevented", "evt_1"))
    assert webhook.item["disputes"]["dp_1"]["closed_at"] == "2026-11-24T15:00:00.000Z"
    [message] = webhook.aws.messages
    assert message.endswith("is prevented. Refunds are blocked.")
