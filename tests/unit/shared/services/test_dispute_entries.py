"""shared.services.dispute_entries: a dispute is entered once, whether from an event or from Stripe's list."""

from datetime import timedelta

import pytest

from shared.adapters import payment_items, refund_ledger
from shared.contracts.stripe_objects import StripeDisputeObject
from shared.domain.errors import StoreBusy
from shared.services.dispute_entries import enter_dispute
from tests.harness.builders import NOW, TOTAL, payment
from tests.harness.stored_tables import Stored


def news(status: str) -> StripeDisputeObject:
    return StripeDisputeObject(id="du_1", status=status, amount=TOTAL, payment_intent="pi_1")


def test_news_that_arrive_at_the_same_time_are_all_entered(stored: Stored) -> None:
    """Stripe sends two events about a new dispute at once; the later one reads the payment again."""
    before = payment()
    stored.payment(before)
    opened = enter_dispute(before, news("needs_response"), event_id=None, now=NOW)
    entry = enter_dispute(before, news("under_review"), event_id=None, now=NOW + timedelta(seconds=1))
    assert (entry.status, entry.opened_at) == ("under_review", opened.opened_at)
    after = payment_items.read_payment("PAY-RES-1")
    assert after is not None
    assert after.disputes == {"du_1": entry}
    closed = enter_dispute(before, news("lost"), event_id=None, now=NOW)
    assert (closed.status, closed.closed_at) == ("lost", NOW)
    assert enter_dispute(before, news("needs_response"), event_id=None, now=NOW) == closed


def test_a_dispute_that_changes_again_and_again_is_left_to_stripes_next_delivery(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.payment(payment())
    monkeypatch.setattr(refund_ledger, "record_dispute", lambda *_, **__: False)
    with pytest.raises(StoreBusy):
        enter_dispute(payment(), news("needs_response"), event_id=None, now=NOW)
