"""Checkout Sessions."""

from typing import Any

import pytest
import requests
import stripe

from local.fake_stripe.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import Receiver, pay, session_params


def refused(client: stripe.StripeClient, params: Any) -> Any:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(params)
    assert caught.value.http_status == 400
    return caught.value


PRICE = "line_items[0][price_data]"


def line_items(**price_data: Any) -> list[Any]:
    price = {"currency": "eur", "unit_amount": 30_000, "product_data": {"name": "Stay"}} | price_data
    return [{"price_data": {name: value for name, value in price.items() if value is not None}, "quantity": 1}]


def test_a_new_session_is_open_and_unpaid_without_payment_intent(session: Any, fake_stripe: FakeStripe) -> None:
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.id.startswith("cs_test_")
    assert session.url == f"{fake_stripe.base_url}/pay/{session.id}"
    assert (session.amount_total, session.currency) == (30_000, "eur")
    assert session.metadata.to_dict() == {"payment_id": "PAY-r1", "reservation_id": "r1"}
    assert session.client_reference_id == "r1"
    assert session.livemode is False
    assert "line_items" not in session


def test_line_items_are_included_on_request(client: stripe.StripeClient, session: Any) -> None:
    asked = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    assert asked.line_items is not None
    assert [item.amount_total for item in asked.line_items.data] == [30_000]


@pytest.mark.parametrize(("seconds", "word"), [(1790, "at least 30 minutes"), (86_410, "less than 24 hours")])
def test_expires_at_is_limited_by_stripes_clock(
    client: stripe.StripeClient, fake_stripe: FakeStripe, seconds: int, word: str
) -> None:
    error = refused(client, session_params(fake_stripe, expires_at=fake_stripe.clock.timestamp() + seconds))
    assert word in str(error)
    assert (error.param, error.code) == ("expires_at", None)


def test_half_an_hour_is_refused_under_clock_skew(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    expires_at = fake_stripe.clock.timestamp() + 1801
    fake_stripe.clock.advance(5)
    assert refused(client, session_params(fake_stripe, expires_at=expires_at)).param == "expires_at"


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"guest": "x"}, "guest", "parameter_unknown"),
        ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
        ({"adaptive_pricing": {"on": True}}, "adaptive_pricing[on]", "parameter_unknown"),
        ({"mode": "pay"}, "mode", None),
        ({"submit_type": "reserve"}, "submit_type", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"expires_at": "1800.0"}, "expires_at", "parameter_invalid_integer"),
        ({"adaptive_pricing": {"enabled": "0"}}, "adaptive_pricing[enabled]", None),
        ({"customer_email": "guest"}, "customer_email", "email_invalid"),
        ({"customer_email": "guest@example.com "}, "customer_email", "email_invalid"),
        ({"customer_email": "guest@example.com\n"}, "customer_email", "email_invalid"),
        ({"customer_email": ""}, "customer_email", "parameter_invalid_empty"),
        ({"success_url": "ftp://x"}, "success_url", "url_invalid"),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"cancel_url": "/back"}, "cancel_url", "url_invalid"),
        ({"client_reference_id": "r" * 201}, "client_reference_id", None),
        ({"metadata": {"token": "t" * 501}}, "metadata[token]", None),
        ({"metadata": {"k" * 41: "v"}}, "metadata", None),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, "metadata", None),
        ({"metadata": "text"}, "metadata", None),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"line_items": "x"}, "line_items", None),
        ({"line_items": line_items(unit_amount=49)}, None, "amount_too_small"),
        ({"line_items": line_items(unit_amount=100_000_000)}, None, "amount_too_large"),
        ({"line_items": line_items(unit_amount=1.5)}, f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
        ({"line_items": line_items(unit_amount=-1)}, f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
        ({"line_items": line_items(unit_amount=None)}, f"{PRICE}[unit_amount]", "parameter_missing"),
        ({"line_items": line_items(currency=None)}, f"{PRICE}[currency]", "parameter_missing"),
        ({"line_items": line_items(currency="EUR")}, f"{PRICE}[currency]", None),
        ({"line_items": line_items(product_data={"images": "x"})}, f"{PRICE}[product_data][name]", "parameter_missing"),
        ({"line_items": line_items(product=1)}, f"{PRICE}[product]", None),
        ({"line_items": [{"quantity": 1}]}, "line_items[0]", "parameter_missing"),
        ({"line_items": [line_items()[0] | {"quantity": 0}]}, "line_items[0][quantity]", "parameter_invalid_integer"),
        ({"allow_promotion_codes": True}, "allow_promotion_codes", None),
        ({"payment_intent_data": {"capture_method": "manual"}}, "payment_intent_data[capture_method]", None),
        ({"allowed_payment_method_types": ["klarna"]}, "allowed_payment_method_types", None),
        ({"expand": ["guest"]}, "expand", None),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_by_name(
    client: stripe.StripeClient, fake_stripe: FakeStripe, changes: Any, param: str | None, code: str | None
) -> None:
    error = refused(client, session_params(fake_stripe, **changes))
    assert (error.param, error.code) == (param, code)
    assert client.v1.checkout.sessions.list().data == []


@pytest.mark.parametrize("amount", [50, 99_999_999])
def test_the_limits_of_the_amount_are_allowed(
    client: stripe.StripeClient, fake_stripe: FakeStripe, amount: int
) -> None:
    made = client.v1.checkout.sessions.create(session_params(fake_stripe, line_items=line_items(unit_amount=amount)))
    assert made.amount_total == amount


def test_an_open_session_can_be_expired_once(
    client: stripe.StripeClient, session: Any, receiver: Receiver, fake_stripe: FakeStripe
) -> None:
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.expire(session.id)
    assert (caught.value.http_status, caught.value.code) == (400, None)
    assert fake_stripe.webhooks.wait_until_idle()
    assert receiver.types() == ["checkout.session.expired"]


@pytest.mark.usefixtures("paid")
def test_a_complete_session_cannot_be_expired(client: stripe.StripeClient, session: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.expire(session.id)
    assert (caught.value.http_status, caught.value.code) == (400, None)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "complete"


def test_a_session_expires_in_time(
    client: stripe.StripeClient, http: requests.Session, session: Any, receiver: Receiver, fake_stripe: FakeStripe
) -> None:
    fake_stripe.clock.advance(2099)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    fake_stripe.clock.advance(2)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    page = pay(http, session)
    assert page.status_code == 410
    assert "expired" in page.text
    assert fake_stripe.webhooks.wait_until_idle()
    assert receiver.types() == ["checkout.session.expired"]


def test_a_session_is_never_seen_as_open_after_its_expiry(
    client: stripe.StripeClient, session: Any, fake_stripe: FakeStripe
) -> None:
    with fake_stripe.lock:
        # Like the passing of real time, this does not wake the timer's thread.
        fake_stripe.clock._offset += 2200
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"


def test_an_unknown_session_is_not_found(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.retrieve("cs_test_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_sessions_are_listed_by_status_and_payment_intent(
    client: stripe.StripeClient, session: Any, paid: Any, fake_stripe: FakeStripe
) -> None:
    other = client.v1.checkout.sessions.create(session_params(fake_stripe))
    assert [found.id for found in client.v1.checkout.sessions.list().data] == [other.id, session.id]
    assert [found.id for found in client.v1.checkout.sessions.list({"status": "open"}).data] == [other.id]
    assert [found.id for found in client.v1.checkout.sessions.list({"payment_intent": paid.id}).data] == [session.id]
    for unknown in ("metadata", "client_reference_id"):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.checkout.sessions.list({unknown: "r1"})  # type: ignore[arg-type]
        assert caught.value.code == "parameter_unknown"
