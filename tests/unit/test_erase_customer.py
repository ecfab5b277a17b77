"""scripts.erase_customer: a guest's data go, the books stay as they are."""

from typing import Any

import pytest

from scripts.erase_customer import Eraser
from shared.adapters.dynamodb import to_item
from shared.adapters.payment_items import read_payment
from shared.domain.ledger import ledger
from shared.domain.models import Matter, Payment, RefundReason
from tests.harness.booking_situations import SITUATIONS, paid
from tests.harness.builders import NOW, capture, payment, refund
from tests.harness.stored_tables import Stored

OUTPUTS = {
    "paymentsTable": "payments",
    "auditTable": "audit",
    "operatorTopicArn": "arn:aws:sns:eu-west-1:123456789012:operators",
}
BY_GUEST = refund(
    status="succeeded",
    kind="cancellation",
    reason="Ada is ill",
    note="Ada called",
    requested_by="guest:CUST-1",
    stripe_refund_id="re_1",
)
CANCELLED = paid(
    customer_id="CUST-1",
    cancel_requested_by="guest:CUST-1",
    captures={"pi_1": capture(role="booking", refundable=112_000)},
    refunds={"PAY-RES-1-cancellation": BY_GUEST},
    refund_reasons={"PAY-RES-1-cancellation": RefundReason(text="Ada is ill", requested_by="guest:CUST-1")},
)
ENTRY = {"payment_id": "PAY-RES-1", "correlation_id": "c", "amount": 500}
BOOKS = ("status", "amount", "captures", "refund_amount", "refund_pending_amount", "stripe_payment_intent_id")


def erase(customer: str = "CUST-1") -> tuple[list[str], list[str]]:
    return Eraser(OUTPUTS, customer).run()


def read() -> Payment:
    found = read_payment("PAY-RES-1")
    assert found is not None
    return found


def add_entry(stored: Stored, number: int, **fields: str) -> None:
    stored.put("audit", ENTRY | {"at_id": f"2026-11-24T15:00:00.000Z#{number}"} | fields)


def test_ids_and_texts_go_and_amounts_stay(stored: Stored) -> None:
    stored.payment(CANCELLED)
    stored.payment(payment(payment_id="PAY-RES-2", reservation_id="RES-2", status="completed", customer_id="CUST-2"))
    add_entry(stored, 1, actor="guest:CUST-1", action="booking_cancelled", reason="Ada is ill")
    add_entry(stored, 2, actor="workflow:RES-1", action="refund_failed", reason="lost_card")
    others = stored.get("payments", "PAY-RES-2")
    assert erase() == (["PAY-RES-1"], [])
    after = stored.get("payments", "PAY-RES-1")
    everything = f"{after} {stored.all('audit')}"
    assert "Ada" not in everything
    assert "CUST-1" not in everything
    before = to_item(CANCELLED)
    assert {name: after.get(name) for name in BOOKS} == {name: before.get(name) for name in BOOKS}
    assert ledger(read()) == ledger(CANCELLED)
    assert sorted(entry.get("reason", "") for entry in stored.all("audit")) == ["", "lost_card"]
    assert {entry["amount"] for entry in stored.all("audit")} == {500}
    assert stored.get("payments", "PAY-RES-2") == others
    assert erase() == ([], [])


@pytest.mark.parametrize("situation", [name for name, of in SITUATIONS.items() if of is not None])
def test_a_payment_that_is_not_over_keeps_everything(stored: Stored, situation: str) -> None:
    of: Any = SITUATIONS[situation]
    stored.payment(of.model_copy(update={"customer_id": "CUST-1"}))
    before = stored.get("payments", "PAY-RES-1")
    erased, left = erase()
    assert len(erased) + len(left) == 1
    under_way = of.status == "pending" or any(refund.unsettled for refund in of.refunds.values())
    assert bool(left) is under_way
    if left:
        assert stored.get("payments", "PAY-RES-1") == before


def test_a_payment_that_needs_a_person_is_left(stored: Stored) -> None:
    matter = Matter(kind="dispute", subject="dp_1", since=NOW)
    stored.payment(paid(customer_id="CUST-1", attention={"dispute:dp_1": matter}, attention_since=NOW))
    assert erase() == ([], ["PAY-RES-1"])
