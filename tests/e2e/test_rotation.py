"""The signing secret and the API key are rolled while guests pay: nothing restarts, and no event is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.stripe_keys import store_keys
from local import credentials
from scripts.stripe_endpoint import set_up
from tests.e2e.conftest import Booking, Client, secrets_read_long_ago, until

EVENTS = 100


@pytest.fixture(autouse=True)
def warm(client: Client) -> None:
    """Functions that have read both secrets some time ago."""
    paid(client)
    secrets_read_long_ago()


def paid(client: Client) -> Booking:
    booking = client.booking()
    assert booking.pay(booking.session()) == 303
    confirmed(booking)
    return booking


def confirmed(booking: Booking) -> None:
    until(lambda: booking.reservation["status"] == "confirmed", lambda: f"confirmation; {booking.execution}")


def by_overlap(client: Client) -> dict[int, Callable[[], None]]:
    """The steps of docs/operations.md, each after so many events."""
    old, new = credentials.WEBHOOK_SECRET, "whsec_rolled"
    webhooks = client.stack.fake_stripe.webhooks

    def signed_with(*secrets: str) -> None:
        client.stack.fake_stripe.webhook_secrets = list(secrets)

    def stored_alone() -> None:
        assert webhooks.wait_until_idle(60)  # the overlap is over, and what was signed before has long arrived
        store_keys(client.stack.outputs, webhook_secret=new)

    return {
        20: lambda: signed_with(new, old),
        40: lambda: store_keys(client.stack.outputs, webhook_secret=f"{new},{old}"),
        60: lambda: signed_with(new),
        80: stored_alone,
    }


def by_command(client: Client) -> dict[int, Callable[[], None]]:
    """`make stripe-webhook REPLACE=1`; what the old endpoint had not delivered is the reconciler's."""

    def replace() -> None:
        outputs = {**client.stack.outputs, "webhookUrl": f"{client.url}/api/webhooks/stripe"}
        set_up(outputs, replace=True, api_base=f"{client.url}/stripe")

    def reconcile() -> None:
        assert client.stack.fake_stripe.webhooks.wait_until_idle(60)
        client.local("POST", "reconcile")

    return {50: replace, EVENTS: reconcile}


@pytest.mark.parametrize("roll", [by_overlap, by_command])
def test_of_100_events_during_the_roll_of_the_signing_secret_none_is_lost(
    client: Client, roll: Callable[[Client], dict[int, Callable[[], None]]]
) -> None:
    """D-27."""
    booking = client.booking()
    booking.session()
    fake_stripe, steps = client.stack.fake_stripe, roll(client)
    charges = {f"ch_{number}" for number in range(EVENTS)}
    for number in range(EVENTS + 1):
        if number in steps:
            steps[number]()
        if number < EVENTS:
            with fake_stripe.current():
                fake_stripe.emit("payment_intent.payment_failed", declined(booking, f"ch_{number}"))

    def noted() -> set[str]:
        return set(booking.payment["attempts"]["1"]["declines"])

    until(lambda: noted() == charges, lambda: f"{charges - noted()}")


def declined(booking: Booking, charge: str) -> dict[str, Any]:
    return {
        "object": "payment_intent",
        "id": "pi_declined",
        "latest_charge": charge,
        "last_payment_error": {"decline_code": "generic_decline"},
        "metadata": {"reservation_id": booking.id, "payment_id": f"PAY-{booking.id}", "attempt": "1"},
    }


def test_the_api_key_is_rolled_without_a_restart(client: Client) -> None:
    """D-27: a guest is on the pay page when the old key expires; the next one and a refund know only the new key."""
    old, new = credentials.STRIPE_API_KEY, "sk_test_rolled"
    fake_stripe = client.stack.fake_stripe
    meanwhile = client.booking()
    session = meanwhile.session()
    fake_stripe.api_keys = {old, new}
    store_keys(client.stack.outputs, secret_key=new)
    assert meanwhile.pay(session) == 303
    confirmed(meanwhile)
    waiting = client.booking()
    session = waiting.session()
    fake_stripe.api_keys = {new}
    assert waiting.pay(session) == 303
    confirmed(waiting)
    refund = client.api("POST", f"payments/{paid(client).id}/refund", None, headers=operator(client))
    assert refund.status_code in {200, 202}, refund.text
    refused = [request for request in fake_stripe.requests if request.status == 401]
    assert refused


def operator(client: Client) -> dict[str, str]:
    token = client.local("POST", "tokens", customer_id="CUST-operator", groups=["operators"])["token"]
    return {"Authorization": f"Bearer {token}"}
