"""lambdas.operations_api.matter_closing: only matters whose end the system cannot see, and never without a note."""

from typing import Any

import pytest

from lambdas.operations_api import handler
from shared.domain.models import Matter
from tests.harness.builders import NOW, payment
from tests.harness.payments_api_calls import OPERATOR, Answer, call
from tests.harness.stored_tables import Stored

MATTERS = {
    "unmatched_charge:pi_1": Matter(kind="unmatched_charge", subject="pi_1", since=NOW),
    "unmatched_charge:pi_2": Matter(kind="unmatched_charge", subject="pi_2", since=NOW),
    "dispute:dp_1": Matter(kind="dispute", subject="dp_1", since=NOW),
}


@pytest.fixture
def queued(stored: Stored) -> Stored:
    stored.reservation()
    stored.payment(payment(attention=MATTERS, attention_since=NOW))
    return stored


def close(kind: str, **body: Any) -> Answer:
    return call("POST", f"/payments/RES-1/attention/{kind}/close", body, claims=OPERATOR, function=handler)


def test_a_matter_is_closed_with_who_did_it_and_why(queued: Stored) -> None:
    answer = close("unmatched_charge", note="The guest paid for a parking space.", subject="pi_1")
    assert answer.status == 200
    assert [matter["subject"] for matter in answer.body["attention"]] == ["pi_2", "dp_1"]
    [entry] = answer.body["audit"]
    assert (entry["actor"], entry["action"]) == (f"operator:{OPERATOR['sub']}", "matter_closed")
    assert (entry["subject"], entry["reason"]) == ("unmatched_charge:pi_1", "The guest paid for a parking space.")
    assert entry["correlation_id"] == answer.headers["x-correlation-id"]
    assert close("unmatched_charge", note="x", subject="pi_1").error == (404, "NOT_FOUND")


def test_without_a_subject_all_matters_of_the_kind_are_closed(queued: Stored) -> None:
    assert [matter["kind"] for matter in close("unmatched_charge", note="x").body["attention"]] == ["dispute"]
    assert len(queued.all("audit")) == 2


def test_a_matter_that_ends_with_its_cause_cannot_be_closed(queued: Stored) -> None:
    before = queued.get("payments", "PAY-RES-1")
    assert close("dispute", note="Won.").error == (409, "CAUSE_NOT_SETTLED")
    assert close("refund_failed", note="Paid.").error == (404, "NOT_FOUND")
    assert close("nonsense", note="Paid.").error == (404, "NOT_FOUND")
    assert close("unmatched_charge").error == (400, "INVALID_REQUEST")
    assert close("unmatched_charge", note=" ").error == (400, "INVALID_REQUEST")
    assert (queued.get("payments", "PAY-RES-1"), queued.all("audit")) == (before, [])


def test_a_booking_leaves_the_queue_with_its_last_matter(queued: Stored) -> None:
    queued.payment(payment(attention={"unmatched_charge:pi_1": MATTERS["unmatched_charge:pi_1"]}, attention_since=NOW))
    assert close("unmatched_charge", note="x").body["attention"] == []
    assert "attention_since" not in queued.get("payments", "PAY-RES-1")
