"""The pay page, PaymentIntents and charges."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.harness.tables import in_table
from tests.local.fake_stripe.conftest import Account


def test_the_page_shows_the_purchase_and_the_test_cards(account: Account, session: Any) -> None:
    page = account.http.get(session.url, timeout=5)
    assert page.status_code == 200
    assert "Two nights &lt;&amp;&gt;" in page.text
    assert "EUR 300.00" in page.text
    assert "4000002500003155" in page.text


def test_paying_completes_the_session_and_sends_events(account: Account, session: Any) -> None:
    answer = account.pay(session)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://shop.example/ok?session_id={session.id}"
    # The redirect waited for this event.
    assert "checkout.session.completed" in account.receiver.types()
    done = account.sessions.retrieve(session.id)
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    intent = account.intent_of(session)
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
    assert sorted(account.delivered()) == [
        "charge.succeeded",
        "checkout.session.completed",
        "payment_intent.created",
        "payment_intent.succeeded",
    ]
    (completed,) = account.receiver.of("checkout.session.completed")
    assert (completed["payment_intent"], completed["payment_status"]) == (intent.id, "paid")


def test_the_payment_intent_does_not_inherit_the_sessions_metadata(account: Account) -> None:
    session = account.create_session(payment_intent_data=None)
    assert account.pay(session).status_code == 303
    assert account.intent_of(session).metadata.to_dict() == {}


def test_a_paid_session_is_not_paid_again(account: Account, session: Any) -> None:
    url = session.url
    assert account.pay(url).status_code == 303
    again = account.pay(url)
    assert again.status_code == 410
    assert "already been made" in again.text
    assert len(account.v1.charges.list().data) == 1


def test_concurrent_payers_pay_once(account: Account, session: Any) -> None:
    card = {"card_number": "4242424242424242"}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(requests.post, session.url, card, allow_redirects=False, timeout=15) for _ in range(8)]
    answers = [one.result().status_code for one in sent]
    assert sorted(answers) == [303, *[410] * 7]
    assert len(account.v1.charges.list().data) == 1


@in_table()
def test_a_decline_leaves_the_session_open_for_another_card(
    account: Account, session: Any, card: str, code: str, text: str
) -> None:
    declined = account.pay(session, card)
    assert declined.status_code == 402
    assert text in declined.text

    assert account.sessions.retrieve(session.id).status == "open"
    intent = account.intent_of(session)
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert (intent.last_payment_error.code, intent.last_payment_error.decline_code) == ("card_declined", code)
    failed = intent.latest_charge
    assert (failed.status, failed.paid, failed.failure_code) == ("failed", False, "card_declined")
    assert intent.last_payment_error.charge == failed.id
    assert sorted(account.delivered()) == ["charge.failed", "payment_intent.created", "payment_intent.payment_failed"]

    assert account.pay(session).status_code == 303
    second = account.intent_of(session)
    assert (second.id, second.status, second.last_payment_error) == (intent.id, "succeeded", None)
    assert second.latest_charge.id != failed.id


def test_an_unknown_card_number_never_reaches_the_bank(account: Account, session: Any) -> None:
    assert account.pay(session, "4111").status_code == 402
    assert account.sessions.retrieve(session.id).payment_intent is None


def test_an_unknown_card_number_gets_no_form_once_the_session_is_closed(account: Account, session: Any) -> None:
    account.sessions.expire(session.id)
    answer = account.pay(session, "4111")
    assert (answer.status_code, "<form" in answer.text) == (410, False)


def test_a_declined_payment_is_canceled_with_its_session(account: Account, session: Any) -> None:
    account.pay(session, "4000000000000002")
    account.sessions.expire(session.id)
    intent = account.intent_of(session)
    assert (intent.status, intent.cancellation_reason) == ("canceled", "automatic")


@pytest.mark.parametrize("card", ["4000002500003155", "4000000000003220"])
def test_3d_secure_pays_after_the_challenge(account: Account, session: Any, card: str) -> None:
    answer = account.pay(session, card)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{session.url}/challenge")
    assert "Complete authentication" in account.http.get(answer.headers["location"], timeout=5).text
    assert account.intent_of(session).status == "requires_action"

    passed = account.http.post(f"{session.url}/challenge", data={"outcome": "pass"}, allow_redirects=False, timeout=5)
    assert (passed.status_code, passed.headers["location"].split("?")[0]) == (303, "https://shop.example/ok")
    assert account.intent_of(session).status == "succeeded"
    assert "payment_intent.requires_action" in account.receiver.types()


def test_a_failed_challenge_leaves_the_session_open(account: Account, session: Any) -> None:
    account.pay(session, "4000000000003220")
    failed = account.http.post(f"{session.url}/challenge", data={"outcome": "fail"}, allow_redirects=False, timeout=5)
    assert failed.status_code == 402
    intent = account.intent_of(session)
    assert (intent.status, intent.last_payment_error.code) == (
        "requires_payment_method",
        "payment_intent_authentication_failure",
    )
    assert account.pay(session).status_code == 303


@in_table()
def test_a_session_expires_during_a_challenge(
    *, account: Account, session: Any, behaviour: Any, after_expiry: str, answer: int, end: str
) -> None:
    account.fake.challenge_after_expiry = behaviour
    account.pay(session, "4000000000003220")
    account.sessions.expire(session.id)
    assert account.intent_of(session).status == after_expiry

    passed = account.http.post(f"{session.url}/challenge", data={"outcome": "pass"}, allow_redirects=False, timeout=5)
    assert passed.status_code == answer
    assert account.intent_of(session).status == end
    assert account.sessions.retrieve(session.id).status == "expired"


@in_table()
def test_a_payment_with_delayed_confirmation(
    account: Account, session: Any, *, succeeded: bool, status: str, event: str
) -> None:
    payment_intent = account.fake.start_processing(session.id, session_status="complete")
    waiting = account.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert account.v1.payment_intents.retrieve(payment_intent).status == "processing"

    account.fake.finish_processing(payment_intent, succeeded=succeeded)
    assert account.v1.payment_intents.retrieve(payment_intent).status == status
    account.wait_until_idle()
    assert event in account.receiver.types()


@pytest.mark.parametrize(("succeeded", "status", "paid"), [(True, "succeeded", "paid"), (False, "canceled", "unpaid")])
def test_a_session_expires_while_its_payment_is_processing(
    account: Account, session: Any, *, succeeded: bool, status: str, paid: str
) -> None:
    payment_intent = account.fake.start_processing(session.id)
    account.sessions.expire(session.id)
    assert account.v1.payment_intents.retrieve(payment_intent).status == "processing"
    account.fake.finish_processing(payment_intent, succeeded=succeeded)
    assert account.v1.payment_intents.retrieve(payment_intent).status == status
    assert account.sessions.retrieve(session.id).payment_status == paid


def test_the_payment_of_an_expired_session_can_be_forced_with_another_amount(account: Account, session: Any) -> None:
    account.sessions.expire(session.id)
    intent = account.fake.force_payment(session.id, amount=1, currency="usd")
    assert (intent["amount_received"], intent["currency"]) == (1, "usd")
    assert account.sessions.retrieve(session.id).status == "complete"
    assert "checkout.session.completed" in account.delivered()
    with pytest.raises(ValueError, match="already paid"):
        account.fake.force_payment(session.id)


def test_the_redirect_waits_for_the_webhook(account: Account, session: Any) -> None:
    account.receiver.delay_seconds = 0.3
    started = time.monotonic()
    assert account.pay(session).status_code == 303
    assert time.monotonic() - started > 0.3


def test_the_redirect_waits_only_for_a_limited_time(account: Account, session: Any) -> None:
    account.receiver.delay_seconds = 2
    account.fake.redirect_wait_seconds = 0.1
    assert account.pay(session).status_code == 303
    assert account.receiver.events == []


def test_an_unknown_page_is_not_found(account: Account) -> None:
    assert account.http.get(f"{account.fake.base_url}/pay/cs_test_none", timeout=5).status_code == 404
