"""What a payment's refunds add up to, and which news of a refund is news."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ledger import Ledger, ledger, refund_moves_on
from shared.domain.models import Dispute, Payment, Refund, RefundStatus, StripeRefund
from tests.harness.builders import NOW, TOTAL, capture, payment

STRIPES = tuple(get_args(StripeRefund.model_fields["status"].annotation))


def refund(status: str, amount: int, **changes: Any) -> Refund:
    fields = {"kind": "goodwill", "payment_intent": "pi_1", "try": 1, "created_at": NOW}
    return Refund.model_validate(fields | {"status": status, "amount": amount} | changes)


def paid(*refunds: Refund, **changes: Any) -> Payment:
    captures = {"pi_1": capture(role="booking"), "pi_2": capture(role="unapplied")}
    entries = {f"R{number}": entry for number, entry in enumerate(refunds)}
    return payment(**({"status": "completed", "captures": captures, "refunds": entries} | changes))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (paid(), Ledger("completed", 0, 0)),
        (paid(refund("pending", TOTAL)), Ledger("completed", 0, TOTAL)),
        (paid(refund("succeeded", TOTAL - 1)), Ledger("partially_refunded", TOTAL - 1, 0)),
        (paid(refund("succeeded", TOTAL - 1), refund("pending", 1)), Ledger("partially_refunded", TOTAL - 1, 1)),
        (paid(refund("succeeded", TOTAL - 1), refund("succeeded", 1)), Ledger("refunded", TOTAL, 0)),
        (paid(refund("failed", TOTAL), status="refunded"), Ledger("completed", 0, 0)),
        (paid(refund("failed", 1), refund("succeeded", 2), status="refunded"), Ledger("partially_refunded", 2, 0)),
        (paid(refund("settled_elsewhere", TOTAL)), Ledger("refunded", TOTAL, 0)),
        (paid(refund("succeeded", 5, kind="dashboard")), Ledger("partially_refunded", 5, 0)),
        (paid(refund("succeeded", TOTAL, payment_intent="pi_2")), Ledger("completed", 0, 0)),
        (paid(refund("pending", TOTAL, payment_intent="pi_2")), Ledger("completed", 0, 0)),
    ],
    ids=[
        "nothing",
        "D-13: pending is not refunded",
        "all but a cent is a part",
        "P-08: what is pending is kept apart",
        "P-08: the last cent makes it all",
        "P-07: taken back, the payment is completed again",
        "P-07: taken back in part",
        "settled by another way is settled",
        "D-31: the dashboard's count",
        "D-09: the refund of a second capture is not the booking's",
        "D-09: nor while it is pending",
    ],
)
def test_what_it_adds_up_to(of: Payment, expected: Ledger) -> None:
    assert ledger(of) == expected


@pytest.mark.parametrize("status", ["pending", "expired"])
def test_a_payment_without_a_capture_of_its_own_keeps_its_status(status: str) -> None:
    """D-04: money given back makes no booking."""
    of = payment(
        status=status,
        captures={"pi_2": capture(role="unapplied")},
        refunds={"REF-pi_2": refund("succeeded", TOTAL, payment_intent="pi_2", kind="unapplied")},
    )
    assert ledger(of) == Ledger(status, TOTAL, 0)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from(get_args(RefundStatus)), st.integers(1, TOTAL)), max_size=8))
def test_every_entry_counts_once_and_where_it_belongs(entries: list[tuple[str, int]]) -> None:
    """P-08: whatever its order; what failed counts nowhere."""
    sums = ledger(paid(*[refund(status, amount) for status, amount in entries]))
    assert sums == ledger(paid(*[refund(status, amount) for status, amount in reversed(entries)]))
    total = sum(amount for status, amount in entries if status not in {"failed", "canceled"})
    assert sums.refund_amount + sums.refund_pending_amount == total
    assert (sums.status == "refunded") is (sums.refund_amount >= TOTAL)
    assert (sums.status == "completed") is (sums.refund_amount == 0)


@pytest.mark.parametrize(
    ("status", "kind", "unsettled"),
    [
        ("pending", "cancellation", True),
        ("requires_action", "goodwill", True),
        ("failed", "unapplied", True),
        ("succeeded", "cancellation", False),
        ("settled_elsewhere", "cancellation", False),
        ("pending", "dashboard", True),
        ("failed", "dashboard", False),
        ("canceled", "dashboard", False),
    ],
)
def test_what_still_has_money_reserved(status: str, kind: str, *, unsettled: bool) -> None:
    """D-31: what failed in the dashboard has reserved nothing of ours, and nobody is waited for."""
    assert refund(status, 1, kind=kind).unsettled is unsettled


# Rows: what is known; columns: what Stripe reports now.
NEWS = {
    "pending": {"succeeded", "failed", "canceled"},
    "requires_action": {"succeeded", "failed", "canceled"},
    "succeeded": {"failed", "canceled"},
    "failed": set[str](),
    "canceled": set[str](),
}


@pytest.mark.parametrize("before", STRIPES)
@pytest.mark.parametrize("after", STRIPES)
def test_a_refund_moves_on_and_never_back(before: str, after: str) -> None:
    """D-38/39 P-07: a `succeeded` that comes after its `failed` is old."""
    assert refund_moves_on(before, after) is (after in NEWS[before])


@given(st.permutations(["pending", "succeeded", "failed"]))
def test_whatever_order_news_come_in_the_last_word_is_the_same(order: list[str]) -> None:
    """D-31 D-38/39."""
    known = "pending"
    for status in order:
        known = status if refund_moves_on(known, status) else known
    assert known == "failed"


@pytest.mark.parametrize(
    ("status", "closed", "blocks"),
    [
        ("needs_response", False, True),
        ("under_review", False, True),
        ("won", False, True),
        ("won", True, False),
        ("lost", True, True),
        ("warning_closed", True, False),
    ],
)
def test_which_disputes_block_refunds(status: str, *, closed: bool, blocks: bool) -> None:
    """P-14: an open one, until it is said to be closed; a lost one for ever, on its own capture only."""
    dispute = Dispute(
        status=status, payment_intent="pi_1", amount=TOTAL, opened_at=NOW, closed_at=NOW if closed else None
    )
    of = paid(disputes={"du_1": dispute})
    assert of.disputed("pi_1") is blocks
    assert of.disputed("pi_2") is False
