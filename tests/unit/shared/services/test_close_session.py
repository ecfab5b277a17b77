"""shared.services.close_session: an attempt is closed for good, whether or not its session exists."""

from typing import Any

import pytest

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters.checkout_parameters import checkout_parameters
from shared.domain.errors import StripeUnavailable
from shared.services.close_session import close_session
from tests.harness.builders import HOUR, NOW, opening, reservation
from tests.harness.reconciler_runs import URLS
from tests.harness.tables import in_table


def sent() -> str:
    more: Any = URLS
    return checkout_parameters(
        reservation(), payment_id="PAY-RES-1", attempt_key="1", expires_at=NOW + HOUR, policy=[], **more
    )


pytestmark = pytest.mark.usefixtures("stored")


@in_table()
def test_an_attempt_without_a_known_session_is_closed(
    stripe_account: FakeStripe, changes: dict[str, Any], reason: str, sessions: list[str]
) -> None:
    """Its request is repeated under its key, as long as Stripe remembers that."""
    after = close_session(opening(**{"parameters": sent(), "opened_at": NOW} | changes), "k1").attempt
    assert (after.status, after.close_reason, after.parameters) == ("closed", reason, "")
    assert [session["status"] for session in stripe_account.all("checkout.session")] == sessions


def test_an_attempt_stays_as_it_is_until_stripe_answers(stripe_account: FakeStripe) -> None:
    stripe_account.faults.add("checkout.sessions.create", "timeout_before", 2)
    with pytest.raises(StripeUnavailable):
        close_session(opening(parameters=sent(), opened_at=NOW), "k1")
