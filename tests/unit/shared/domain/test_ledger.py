"""shared.domain.ledger: totals of a payment's refunds, and which refund news is newer."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ledger import Ledger, ledger, refund_moves_on
from shared.domain.models import Payment, Refund, RefundStatus, StripeRefundStatus
from tests.harness.builders import TOTAL, capture, payment, refund
from tests.harness.tables import in_table


def paid(*refunds: Refund, status: str = "completed") -> Payment:
    """A payment with a capture that is the booking's, `pi_1`, and another one."""
    captures = {"pi_1": capture(role="booking"), "pi_2": capture(role="unapplied")}
    return payment(status=status, captures=captures, refunds={f"R{n}": refund for n, refund in enumerate(refunds)})


@in_table(before="completed")
def test_the_totals_of_refunds(refunds: list[Refund], before: str, expected: tuple[Any, int, int]) -> None:
    assert ledger(paid(*refunds, status=before)) == Ledger(*expected)


@pytest.mark.defect("D-04")
@pytest.mark.parametrize("status", ["pending", "expired"])
def test_a_payment_without_a_capture_of_its_own_keeps_its_status(status: Any) -> None:
    """A refund does not make it a paid booking."""
    of = payment(
        status=status,
        captures={"pi_2": capture(role="unapplied")},
        refunds={"REF-pi_2": refund(status="succeeded", amount=TOTAL, payment_intent="pi_2", kind="unapplied")},
    )
    assert ledger(of) == Ledger(status, TOTAL, 0)


@pytest.mark.defect("P-08")
@given(st.lists(st.tuples(st.sampled_from(get_args(RefundStatus)), st.integers(1, TOTAL)), max_size=8))
def test_every_entry_counts_once_and_in_its_own_total(entries: list[tuple[str, int]]) -> None:
    """The order does not matter, and failed refunds count nowhere."""
    refunds = [refund(status=status, amount=amount) for status, amount in entries]
    totals = ledger(paid(*refunds))
    assert totals == ledger(paid(*reversed(refunds)))
    total = sum(amount for status, amount in entries if status not in {"failed", "canceled"})
    assert totals.refund_amount + totals.refund_pending_amount == total
    assert (totals.status == "refunded") is (totals.refund_amount >= TOTAL)
    assert (totals.status == "completed") is (totals.refund_amount == 0)


# Each known status with the statuses that are news.
NEWS = {
    "pending": {"succeeded", "failed", "canceled"},
    "requires_action": {"succeeded", "failed", "canceled"},
    "succeeded": {"failed", "canceled"},
    "failed": set[str](),
    "canceled": set[str](),
}


@pytest.mark.defect("D-38", "D-39", "P-07")
@pytest.mark.parametrize("before", get_args(StripeRefundStatus))
@pytest.mark.parametrize("after", get_args(StripeRefundStatus))
def test_a_refund_never_moves_back(before: str, after: str) -> None:
    """A `succeeded` that arrives after its `failed` is old."""
    assert refund_moves_on(before, after) is (after in NEWS[before])


@pytest.mark.defect("D-31", "D-38", "D-39")
@given(st.permutations(["pending", "succeeded", "failed"]))
def test_news_in_any_order_leads_to_the_same_status(order: list[str]) -> None:
    known = "pending"
    for status in order:
        known = status if refund_moves_on(known, status) else known
    assert known == "failed"
