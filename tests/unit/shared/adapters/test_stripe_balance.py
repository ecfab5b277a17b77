"""shared.adapters.stripe_balance: transactions with what moved them, a page at a time."""

from datetime import timedelta

import pytest

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import stripe_api, stripe_balance
from shared.domain.stripe_values import BalanceTransaction
from tests.harness.builders import HOUR, NOW
from tests.harness.stored_tables import Stored


@pytest.fixture
def charged(stored: Stored, stripe_account: FakeStripe) -> str:
    """A PaymentIntent of EUR 100 that has paid, of which EUR 10 are refunded, and which is disputed."""
    pi = str(stripe_account.charge_elsewhere(amount=10_000, metadata={"stack": "booking-test"})["id"])
    stripe_account.dashboard_refund(pi, 1000)
    stripe_account.open_dispute(pi, 9000)
    return pi


def test_a_page_has_the_newest_and_the_next_one_those_before(charged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_balance, "MAX_LISTED", 2)
    page, last = stripe_balance.transactions_between(NOW - HOUR, NOW + HOUR)
    assert ([one.category for one in page], last) == (["dispute", "refund"], False)
    page, last = stripe_balance.transactions_between(NOW - HOUR, NOW + HOUR, older_than=page[-1].id)
    assert ([one.category for one in page], last) == (["charge"], True)
    assert stripe_balance.transactions_between(NOW - 2 * HOUR, NOW) == ([], True)


def test_a_transaction_says_what_moved_the_money(charged: str) -> None:
    (charge,) = [one for one in stripe_balance.transactions_between(NOW, NOW + HOUR)[0] if one.category == "charge"]
    assert charge == BalanceTransaction(
        id=charge.id,
        category="charge",
        amount=10_000,
        fee=175,
        net=9825,
        currency="EUR",
        created=NOW,
        available_on=NOW + timedelta(days=3),
        source=charge.source,
        payment_intent=charged,
        source_amount=10_000,
        source_currency="EUR",
        source_status="succeeded",
        metadata={"stack": "booking-test"},
    )
    assert stripe_balance.transactions_of(charge.source or "") == [charge]


def test_a_payout_lists_what_it_contains_and_itself(charged: str, stripe_account: FakeStripe) -> None:
    stripe_account.charge_elsewhere(amount=10_000)
    stripe_account.clock.advance(4 * 86_400)
    (payout,) = stripe_account.pay_out()
    page, last = stripe_balance.transactions_paid_out(payout["id"])
    assert ([one.category for one in page], last) == (["payout", "charge", "dispute", "refund", "charge"], True)
    assert page[0].net == -sum(one.net for one in page[1:])
    assert stripe_balance.transactions_paid_out("po_of_another") == ([], True)
    assert stripe_api.MAX_LISTED == 100
