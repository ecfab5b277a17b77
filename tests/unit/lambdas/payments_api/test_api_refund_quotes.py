"""lambdas.payments_api.refund_quotes: what a cancellation gives back now, and who may ask."""

from typing import Any

import pytest

from shared.domain.refund_policy import RefundTier
from tests.harness.builders import TOTAL, capture, payment
from tests.harness.payments_api_calls import OPERATOR, OWN_CAPTURE, STRANGER, call
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table

QUOTE = "/payments/RES-1/refund-quote"
pytestmark = pytest.mark.usefixtures("workflow")

AGREED = [RefundTier(days=20, percent=100), RefundTier(days=2, percent=25)]


@pytest.mark.parametrize("claims", [{}, {"claims": OPERATOR}], ids=["guest", "operator"])
def test_the_quote_follows_the_agreed_policy_and_says_when_it_changes(stored: Stored, claims: dict[str, Any]) -> None:
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refund_policy=AGREED))
    answer = call("GET", QUOTE, **claims)
    assert (answer.status, answer.body) == (
        200,
        {
            "reservation_id": "RES-1",
            "payment_id": "PAY-RES-1",
            "amount": TOTAL,
            "currency": "EUR",
            "policy": "full_refund",
            "original_amount": TOTAL,
            "days_until_checkin": 26,
            "changes_at": "2026-11-30T23:00:00.000Z",
            "next_amount": TOTAL // 4,
            "refund_policy": [{"days": 20, "percent": 100}, {"days": 2, "percent": 25}],
            "terms": "If you cancel: full refund until 30 November 2026, 25% refund until 18 December 2026, no refund "
            "after that.",
        },
    )


def test_the_quote_never_exceeds_what_is_left(stored: Stored) -> None:
    stored.payment(payment(status="partially_refunded", captures={"pi_1": capture(role="booking", refundable=100)}))
    answer = call("GET", QUOTE)
    assert (answer.body["amount"], answer.body["next_amount"]) == (100, 100)


def test_after_the_last_tier_nothing_changes_any_more(stored: Stored) -> None:
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refund_policy=[]))
    body = call("GET", QUOTE).body
    assert (body["amount"], body["policy"], body["terms"]) == (0, "no_refund", "This booking is not refundable.")
    assert not {"changes_at", "next_amount"} & body.keys()


@in_table()
def test_there_is_no_quote_for_a_booking_that_cannot_be_cancelled(stored: Stored, of: Any, reason: str) -> None:
    stored.payment(of)
    answer = call("GET", QUOTE)
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    assert answer.body["message"] == reason


def test_a_stranger_gets_no_quote(stored: Stored) -> None:
    stored.payment(payment(status="completed", captures=OWN_CAPTURE))
    assert call("GET", QUOTE, claims=STRANGER).error == (404, "NOT_FOUND")
