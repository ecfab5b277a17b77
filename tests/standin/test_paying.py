from typing import Any

import requests
import stripe

from local.stripe_standin.stand_in import StripeStandIn
from tests.standin.conftest import Receiver, pay


def test_paying_completes_the_session_and_says_so(
    client: stripe.StripeClient, http: requests.Session, session: Any, receiver: Receiver, stand_in: StripeStandIn
) -> None:
    answer = pay(http, session)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://shop.example/ok?session_id={session.id}"
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert stand_in.webhooks.wait_until_idle()
    assert sorted(receiver.types()) == [
        "charge.succeeded",
        "checkout.session.completed",
        "payment_intent.created",
        "payment_intent.succeeded",
    ]


def test_a_decline_leaves_the_session_open(
    client: stripe.StripeClient, http: requests.Session, session: Any, receiver: Receiver, stand_in: StripeStandIn
) -> None:
    answer = pay(http, session, "4000000000000002")
    assert answer.status_code == 402
    assert "Your card was declined." in answer.text
    again = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert again.status == "open"
