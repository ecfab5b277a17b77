from collections.abc import Callable

import pytest

from lambdas import reserve_refund
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import dynamodb
from tests.harness.booking_states import BookingStates
from tests.harness.builders import payment
from tests.harness.frozen_clock import Clock
from tests.harness.stored_tables import Stored
from tests.harness.transaction_faults import Fault, FaultyClient


@pytest.fixture
def booking(stored: Stored, stripe_account: FakeStripe, clock: Clock) -> BookingStates:
    """A booking whose payment has just been recorded."""
    stored.reservation()
    stored.payment(payment())
    return BookingStates(stored, stripe_account, clock)


@pytest.fixture
def break_transaction(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Make the next transaction run into a fault."""

    def install(fault: Fault) -> None:
        client = FaultyClient(dynamodb.client(), fault)
        monkeypatch.setattr(dynamodb, "client", lambda: client)

    return install


@pytest.fixture
def reserved(booking: BookingStates) -> BookingStates:
    """A booking that is paid and confirmed, with a refund G1 of EUR 5.00 reserved."""
    booking.stripe.pay(booking.open_session())
    pi = booking.verify()["payment_intent"]
    booking.confirm(pi)
    booking.run_refund(reserve_refund, kind="goodwill", payment_intent=pi, amount=500, requested_by="operator")
    return booking
