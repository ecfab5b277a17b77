"""The pay page, PaymentIntents and charges."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from local.fake_stripe.fake_stripe import FakeStripe
from tests.harness.tables import in_table
from tests.local.fake_stripe.conftest import Receiver, pay, session_params


def intent_of(client: stripe.StripeClient, session: Any) -> Any:
    expand = ["payment_intent.latest_charge"]
    return client.v1.checkout.sessions.retrieve(session.id, {"expand": expand}).payment_intent


def test_the_page_shows_the_purchase_and_the_test_cards(http: requests.Session, session: Any) -> None:
    page = http.get(session.url, timeout=5)
    assert page.status_code == 200
    assert "Two nights &lt;&amp;&gt;" in page.text
    assert "EUR 300.00" in page.text
    assert "4000002500003155" in page.text


def test_paying_completes_the_session_and_sends_events(
    client: stripe.StripeClient, http: requests.Session, session: Any, receiver: Receiver, fake_stripe: FakeStripe
) -> None:
    answer = pay(http, session)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://shop.example/ok?session_id={session.id}"
    # The redirect waited for this event.
    assert "checkout.session.completed" in receiver.types()
    done = client.v1.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    intent = intent_of(client, session)
    assert (intent.status, intent.amount, intent.amount_received, intent.currency) == (
        "succeeded",
        30_000,
        30_000,
        "eur",
    )
    charge = intent.latest_charge
    assert (charge.status, charge.paid, charge.captured, charge.amount) == ("succeeded", True, True, 30_000)
    assert charge.payment_intent == intent.id
    assert charge.metadata.to_dict() == intent.metadata.to_dict() == {"payment_id": "PAY-r1", "reservation_id": "r1"}
    assert fake_stripe.webhooks.wait_until_idle()
    assert sorted(receiver.types()) == [
        "charge.succeeded",
        "checkout.session.completed",
        "payment_intent.created",
        "payment_intent.succeeded",
    ]
    (completed,) = receiver.of("checkout.session.completed")
    assert (completed["payment_intent"], completed["payment_status"]) == (intent.id, "paid")


def test_the_payment_intent_does_not_inherit_the_sessions_metadata(
    client: stripe.StripeClient, http: requests.Session, fake_stripe: FakeStripe
) -> None:
    session = client.v1.checkout.sessions.create(session_params(fake_stripe, payment_intent_data=None))
    assert pay(http, session).status_code == 303
    assert intent_of(client, session).metadata.to_dict() == {}


def test_a_paid_session_is_not_paid_again(client: stripe.StripeClient, http: requests.Session, session: Any) -> None:
    url = session.url
    assert pay(http, url).status_code == 303
    again = pay(http, url)
    assert again.status_code == 410
    assert "already been made" in again.text
    assert len(client.v1.charges.list().data) == 1


def test_concurrent_payers_pay_once(client: stripe.StripeClient, session: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pay(requests, session).status_code, range(8)))  # type: ignore[arg-type]
    assert sorted(answers) == [303, *[410] * 7]
    assert len(client.v1.charges.list().data) == 1


@in_table()
def test_a_decline_leaves_the_session_open_for_another_card(
    *,
    client: stripe.StripeClient,
    http: requests.Session,
    session: Any,
    receiver: Receiver,
    fake_stripe: FakeStripe,
    card: str,
    code: str,
    text: str,
) -> None:
    declined = pay(http, session, card)
    assert declined.status_code == 402
    assert text in declined.text

    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    intent = intent_of(client, session)
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert (intent.last_payment_error.code, intent.last_payment_error.decline_code) == ("card_declined", code)
    failed = intent.latest_charge
    assert (failed.status, failed.paid, failed.failure_code) == ("failed", False, "card_declined")
    assert intent.last_payment_error.charge == failed.id
    assert fake_stripe.webhooks.wait_until_idle()
    assert sorted(receiver.types()) == ["charge.failed", "payment_intent.created", "payment_intent.payment_failed"]

    assert pay(http, session).status_code == 303
    second = intent_of(client, session)
    assert (second.id, second.status, second.last_payment_error) == (intent.id, "succeeded", None)
    assert second.latest_charge.id != failed.id


def test_an_unknown_card_number_never_reaches_the_bank(
    client: stripe.StripeClient, http: requests.Session, session: Any
) -> None:
    assert pay(http, session, "4111").status_code == 402
    assert client.v1.checkout.sessions.retrieve(session.id).payment_intent is None


def test_an_unknown_card_number_gets_no_form_once_the_session_is_closed(
    client: stripe.StripeClient, http: requests.Session, session: Any
) -> None:
    client.v1.checkout.sessions.expire(session.id)
    answer = pay(http, session, "4111")
    assert (answer.status_code, "<form" in answer.text) == (410, False)


def test_a_declined_payment_is_canceled_with_its_session(
    client: stripe.StripeClient, http: requests.Session, session: Any
) -> None:
    pay(http, session, "4000000000000002")
    client.v1.checkout.sessions.expire(session.id)
    intent = intent_of(client, session)
    assert (intent.status, intent.cancellation_reason) == ("canceled", "automatic")


@pytest.mark.parametrize("card", ["4000002500003155", "4000000000003220"])
def test_3d_secure_pays_after_the_challenge(
    client: stripe.StripeClient, http: requests.Session, session: Any, receiver: Receiver, card: str
) -> None:
    answer = pay(http, session, card)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{session.url}/challenge")
    assert "Complete authentication" in http.get(answer.headers["location"], timeout=5).text
    assert intent_of(client, session).status == "requires_action"

    passed = http.post(f"{session.url}/challenge", data={"outcome": "pass"}, allow_redirects=False, timeout=5)
    assert (passed.status_code, passed.headers["location"].split("?")[0]) == (303, "https://shop.example/ok")
    assert intent_of(client, session).status == "succeeded"
    assert "payment_intent.requires_action" in receiver.types()


def test_a_failed_challenge_leaves_the_session_open(
    client: stripe.StripeClient, http: requests.Session, session: Any
) -> None:
    pay(http, session, "4000000000003220")
    failed = http.post(f"{session.url}/challenge", data={"outcome": "fail"}, allow_redirects=False, timeout=5)
    assert failed.status_code == 402
    intent = intent_of(client, session)
    assert (intent.status, intent.last_payment_error.code) == (
        "requires_payment_method",
        "payment_intent_authentication_failure",
    )
    assert pay(http, session).status_code == 303


@in_table()
def test_a_session_expires_during_a_challenge(
    *,
    client: stripe.StripeClient,
    http: requests.Session,
    session: Any,
    fake_stripe: FakeStripe,
    behaviour: Any,
    after_expiry: str,
    answer: int,
    end: str,
) -> None:
    fake_stripe.challenge_after_expiry = behaviour
    pay(http, session, "4000000000003220")
    client.v1.checkout.sessions.expire(session.id)
    assert intent_of(client, session).status == after_expiry

    passed = http.post(f"{session.url}/challenge", data={"outcome": "pass"}, allow_redirects=False, timeout=5)
    assert passed.status_code == answer
    assert intent_of(client, session).status == end
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"


@in_table()
def test_a_payment_with_delayed_confirmation(
    *,
    client: stripe.StripeClient,
    session: Any,
    receiver: Receiver,
    fake_stripe: FakeStripe,
    succeeded: bool,
    status: str,
    event: str,
) -> None:
    payment_intent = fake_stripe.start_processing(session.id, session_status="complete")
    waiting = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert client.v1.payment_intents.retrieve(payment_intent).status == "processing"

    fake_stripe.finish_processing(payment_intent, succeeded=succeeded)
    assert client.v1.payment_intents.retrieve(payment_intent).status == status
    assert fake_stripe.webhooks.wait_until_idle()
    assert event in receiver.types()


@pytest.mark.parametrize(("succeeded", "status", "paid"), [(True, "succeeded", "paid"), (False, "canceled", "unpaid")])
def test_a_session_expires_while_its_payment_is_processing(
    *, client: stripe.StripeClient, session: Any, fake_stripe: FakeStripe, succeeded: bool, status: str, paid: str
) -> None:
    payment_intent = fake_stripe.start_processing(session.id)
    client.v1.checkout.sessions.expire(session.id)
    assert client.v1.payment_intents.retrieve(payment_intent).status == "processing"
    fake_stripe.finish_processing(payment_intent, succeeded=succeeded)
    assert client.v1.payment_intents.retrieve(payment_intent).status == status
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == paid


def test_the_payment_of_an_expired_session_can_be_forced_with_another_amount(
    client: stripe.StripeClient, session: Any, receiver: Receiver, fake_stripe: FakeStripe
) -> None:
    client.v1.checkout.sessions.expire(session.id)
    intent = fake_stripe.force_payment(session.id, amount=1, currency="usd")
    assert (intent["amount_received"], intent["currency"]) == (1, "usd")
    assert client.v1.checkout.sessions.retrieve(session.id).status == "complete"
    assert fake_stripe.webhooks.wait_until_idle()
    assert "checkout.session.completed" in receiver.types()
    with pytest.raises(ValueError, match="already paid"):
        fake_stripe.force_payment(session.id)


def test_the_redirect_waits_for_the_webhook(http: requests.Session, session: Any, receiver: Receiver) -> None:
    receiver.delay_seconds = 0.3
    started = time.monotonic()
    assert pay(http, session).status_code == 303
    assert time.monotonic() - started > 0.3


def test_the_redirect_waits_only_for_a_limited_time(
    http: requests.Session, session: Any, receiver: Receiver, fake_stripe: FakeStripe
) -> None:
    receiver.delay_seconds = 2
    fake_stripe.redirect_wait_seconds = 0.1
    assert pay(http, session).status_code == 303
    assert receiver.events == []


def test_an_unknown_page_is_not_found(http: requests.Session, fake_stripe: FakeStripe) -> None:
    assert http.get(f"{fake_stripe.base_url}/pay/cs_test_none", timeout=5).status_code == 404
