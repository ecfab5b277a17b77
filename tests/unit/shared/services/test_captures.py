"""shared.services.captures: money at Stripe whose event has not come, and what is left of it."""

from typing import Any

import pytest

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import payment_items
from shared.domain.errors import NotRefundable
from shared.domain.models import Payment
from shared.services.captures import record_capture
from tests.harness.builders import TOTAL, attempt, paying
from tests.harness.stored_tables import Stored
from tests.harness.stripe_in_process import open_session
from tests.harness.webhook_deliveries import OURS


@pytest.fixture
def session(stored: Stored, stripe_account: FakeStripe) -> str:
    """The session of RES-1, which is published."""
    session = open_session()
    stored.payment(paying(attempts={"1": attempt(stripe_checkout_session_id=session)}))
    return session


def read() -> Payment:
    found = payment_items.read_payment("PAY-RES-1")
    assert found is not None
    return found


def pay(stripe: FakeStripe, session: str) -> str:
    stripe.pay(session)
    return str(stripe.get("checkout.session", session)["payment_intent"])


@pytest.mark.defect("R-01")
@pytest.mark.parametrize("checkout", [False, True], ids=["no session", "another session"])
def test_money_of_others_is_never_adopted(stripe_account: FakeStripe, session: str, checkout: Any) -> None:
    """Whatever its metadata says, and whoever asks for its refund."""
    pi = stripe_account.charge_elsewhere(amount=TOTAL, metadata=OURS | {"attempt": "1"}, checkout=checkout)["id"]
    with pytest.raises(NotRefundable):
        record_capture(read(), pi)
    other = read().model_copy(update={"payment_id": "PAY-RES-2"})
    for _ in range(2):
        with pytest.raises(NotRefundable):
            record_capture(other, pay(stripe_account, session))
    assert read().captures == {}


@pytest.mark.defect("R-01")
def test_money_that_was_not_taken_is_not_recorded(stripe_account: FakeStripe, session: str) -> None:
    with pytest.raises(NotRefundable):
        record_capture(read(), stripe_account.start_processing(session))


@pytest.mark.defect("R-02")
def test_what_was_returned_is_entered_with_the_capture_once(stripe_account: FakeStripe, session: str) -> None:
    """Refunds that succeeded or are pending, and disputes, but no refund that failed."""
    pi = pay(stripe_account, session)
    failed = stripe_account.dashboard_refund(pi, 300)["id"]
    stripe_account.settle_refund(failed, "failed")
    returned = stripe_account.dashboard_refund(pi, 1_000)["id"]
    stripe_account.refund_status = "pending"
    pending = stripe_account.dashboard_refund(pi, 200)["id"]
    lost, open_ = (stripe_account.open_dispute(pi, 100)["id"] for _ in range(2))
    stripe_account.close_dispute(lost, "lost")
    for _ in range(2):
        record_capture(read(), pi)
        after = read()
        assert {key: (entry.kind, entry.status, entry.amount) for key, entry in after.refunds.items()} == {
            returned: ("dashboard", "succeeded", 1_000),
            pending: ("dashboard", "pending", 200),
        }
        assert after.captures[pi].refundable == TOTAL - 1_200
        assert (after.refund_amount, after.refund_pending_amount) == (1_000, 200)
        assert {key: dispute.closed_at is None for key, dispute in after.disputes.items()} == {lost: False, open_: True}
