"""shared.domain.ledger: totals of a payment's refunds, and which refund news is newer."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ledger import Ledger, ledger, refund_moves_on
from shared.domain.models import Payment, Refund, RefundStatus, StripeRefundStatus
from tests.harness.builders import TOTAL, capture, payment
from tests.harness.builders import refund as build_refund


def refund(status: str, amount: int, **changes: Any) -> Refund:
    return build_refund(status=status, amount=amount, **changes)


def paid(*refunds: Refund, **changes: Any) -> Payment:
    captures = {"pi_1": capture(role="booking"), "pi_2": capture(role="unapplied")}
    entries = {f"R{number}": entry for number, entry in enumerate(refunds)}
    return payment(**({"status": "completed", "captures": captures, "refunds": entries} | changes))


def case(name: str, of: Payment, expected: Ledger, *defects: str) -> Any:
    return pytest.param(of, expected, id=name, marks=[pytest.mark.defect(*defects)] if defects else [])


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        case("no refund", paid(), Ledger("completed", 0, 0)),
        case("pending is not refunded", paid(refund("pending", TOTAL)), Ledger("completed", 0, TOTAL), "D-13"),
        case(
            "all but a cent is a partial refund",
            paid(refund("succeeded", TOTAL - 1)),
            Ledger("partially_refunded", TOTAL - 1, 0),
        ),
        case(
            "what is pending is kept apart",
            paid(refund("succeeded", TOTAL - 1), refund("pending", 1)),
            Ledger("partially_refunded", TOTAL - 1, 1),
            "P-08",
        ),
        case(
            "the last cent makes it a full refund",
            paid(refund("succeeded", TOTAL - 1), refund("succeeded", 1)),
            Ledger("refunded", TOTAL, 0),
            "P-08",
        ),
        case(
            "a full refund that failed after all makes the payment completed again",
            paid(refund("failed", TOTAL), status="refunded"),
            Ledger("completed", 0, 0),
            "P-07",
        ),
        case(
            "one of two refunds failed after all",
            paid(refund("failed", 1), refund("succeeded", 2), status="refunded"),
            Ledger("partially_refunded", 2, 0),
            "P-07",
        ),
        case(
            "settled in another way is settled", paid(refund("settled_elsewhere", TOTAL)), Ledger("refunded", TOTAL, 0)
        ),
        case(
            "refunds from the dashboard count",
            paid(refund("succeeded", 5, kind="dashboard")),
            Ledger("partially_refunded", 5, 0),
            "D-31",
        ),
        case(
            "the refund of a second capture is not the booking's",
            paid(refund("succeeded", TOTAL, payment_intent="pi_2")),
            Ledger("completed", 0, 0),
            "D-09",
        ),
        case(
            "nor while it is pending",
            paid(refund("pending", TOTAL, payment_intent="pi_2")),
            Ledger("completed", 0, 0),
            "D-09",
        ),
    ],
)
def test_the_totals_of_refunds(of: Payment, expected: Ledger) -> None:
    assert ledger(of) == expected


@pytest.mark.defect("D-04")
@pytest.mark.parametrize("status", ["pending", "expired"])
def test_a_payment_without_a_capture_of_its_own_keeps_its_status(status: Any) -> None:
    """A refund does not make it a paid booking."""
    of = payment(
        status=status,
        captures={"pi_2": capture(role="unapplied")},
        refunds={"REF-pi_2": refund("succeeded", TOTAL, payment_intent="pi_2", kind="unapplied")},
    )
    assert ledger(of) == Ledger(status, TOTAL, 0)


@pytest.mark.defect("P-08")
@given(st.lists(st.tuples(st.sampled_from(get_args(RefundStatus)), st.integers(1, TOTAL)), max_size=8))
def test_every_entry_counts_once_and_in_its_own_total(entries: list[tuple[str, int]]) -> None:
    """The order does not matter, and failed refunds count nowhere."""
    totals = ledger(paid(*[refund(status, amount) for status, amount in entries]))
    assert totals == ledger(paid(*[refund(status, amount) for status, amount in reversed(entries)]))
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
