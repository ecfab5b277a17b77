"""shared.services.dispute_entries: a dispute is entered once, whether from an event or from Stripe's list."""

import pytest

from shared.adapters import payment_items
from shared.contracts.stripe_objects import StripeDisputeObject
from shared.domain.errors import StoreBusy
from shared.services.dispute_entries import enter_dispute
from tests.harness.builders import NOW, TOTAL, payment
from tests.harness.stored_tables import Stored


def news(status: str) -> StripeDisputeObject:
    return StripeDisputeObject(id="du_1", status=status, amount=TOTAL, payment_intent="pi_1")


def test_a_dispute_that_changed_since_it_was_read_is_not_overwritten(stored: Stored) -> None:
    before = payment()
    stored.payment(before)
    entry = enter_dispute(before, news("needs_response"), event_id=None, now=NOW)
    with pytest.raises(StoreBusy):
        enter_dispute(before, news("under_review"), event_id=None, now=NOW)
    after = payment_items.read_payment("PAY-RES-1")
    assert after is not None
    assert after.disputes == {"du_1": entry}
    closed = enter_dispute(after, news("lost"), event_id=None, now=NOW)
    assert (closed.status, closed.closed_at) == ("lost", NOW)
