"""shared.services.dispute_events: what is recorded of a dispute, and when operators are notified."""

from datetime import datetime
from typing import Any

import pytest

from shared.adapters.audit import read_audit
from tests.harness.builders import capture
from tests.harness.tables import in_table
from tests.harness.webhook_deliveries import Answer, Json, Webhook, dashboard_event, deliver


def deliver_dispute(number: int, *, kind: str, status: str, due_by: datetime | None = None) -> Answer:
    evidence = {"due_by": due_by and int(due_by.timestamp()), "submission_count": 0}
    of = dashboard_event(f"charge.dispute.{kind}", id="dp_1", status=status, evidence_details=evidence)
    return deliver(of | {"id": f"evt_{number}"})


@pytest.fixture
def paid(webhook: Webhook) -> Webhook:
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    return webhook


@in_table()
def test_what_events_about_a_dispute_do(paid: Webhook, events: list[Json], dispute: Json, messages: list[Any]) -> None:
    """In the order of their delivery; one that is a duplicate changes nothing."""
    for number, given in enumerate(events):
        result, before = given.get("result", "success"), paid.item
        fields = {name: value for name, value in given.items() if name != "result"}
        status, answer = deliver_dispute(number, **fields)
        assert (number, status, answer["processing_result"]) == (number, 200, result)
        assert result == "success" or paid.item == before
    stored = paid.item["disputes"]["dp_1"]
    assert {name: stored.get(name) for name in dispute} == dispute
    assert paid.aws.notified == ["PaymentDisputed"] * len(messages)
    recorded = [entry for entry in read_audit("PAY-RES-1") if entry.action == "operators_notified"]
    assert [entry.subject for entry in recorded] == paid.aws.notified
    for message, words in zip(paid.aws.messages, messages, strict=True):
        assert words in f"{message}$"


@pytest.mark.defect("R-06", "D-03")
def test_an_escalation_is_notified_when_its_event_is_redelivered(paid: Webhook) -> None:
    """The first delivery has recorded it but could not notify."""
    deliver_dispute(1, kind="created", status="warning_needs_response")
    paid.aws.refusals = 1
    assert [deliver_dispute(2, kind="updated", status="needs_response")[0] for _ in range(2)] == [503, 200]
    assert paid.aws.notified == ["PaymentDisputed", "PaymentDisputed"]
