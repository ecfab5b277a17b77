"""Events, webhook deliveries and webhook endpoints."""

import time
from typing import Any

import pytest
import requests
import stripe
from moto import mock_aws

from local import credentials
from local.fake_stripe.fake_stripe import FakeStripe
from local.fake_stripe.webhook_delivery import sign
from tests.harness.waiting import wait_until
from tests.local.fake_stripe.conftest import Receiver, Server, pay, session_params


def expire(client: stripe.StripeClient, fake_stripe: FakeStripe) -> str:
    """The quickest way to one event; returns the id of the session."""
    session = client.v1.checkout.sessions.create(session_params(fake_stripe))
    client.v1.checkout.sessions.expire(session.id)
    return session.id


def test_events_have_the_full_envelope(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    session = client.v1.checkout.sessions.create(session_params(fake_stripe))
    client.v1.checkout.sessions.expire(session.id, options={"idempotency_key": "close-1"})
    assert fake_stripe.webhooks.wait_until_idle()
    (event,) = receiver.events
    assert event["object"] == "event"
    assert event["api_version"] == stripe.api_version == "2026-10-28.endive"
    assert (event["livemode"], event["pending_webhooks"]) == (False, 1)
    assert event["request"] == {"id": fake_stripe.requests[-1].id, "idempotency_key": "close-1"}
    assert event["data"]["object"]["id"] == session.id
    assert client.v1.events.retrieve(event["id"]).type == "checkout.session.expired"


def test_an_event_contains_the_object_as_it_was(
    client: stripe.StripeClient, http: requests.Session, session: Any, receiver: Receiver, fake_stripe: FakeStripe
) -> None:
    pay(http, session)
    assert fake_stripe.webhooks.wait_until_idle()
    assert [intent["status"] for intent in receiver.of("payment_intent.created")] == ["requires_payment_method"]
    assert [intent["status"] for intent in receiver.of("payment_intent.succeeded")] == ["succeeded"]
    assert isinstance(receiver.of("checkout.session.completed")[0]["payment_intent"], str)
    assert client.v1.events.list({"type": "payment_intent.created"}).data[0].data.object["status"] == (
        "requires_payment_method"
    )


def test_a_failed_delivery_is_retried_until_it_succeeds(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302]
    expire(client, fake_stripe)
    wait_until(lambda: len(receiver.events) == 3, "three deliveries")
    wait_until(lambda: len(client.v1.events.list({"delivery_success": True}).data) == 1, "a successful delivery")
    assert [delivery.status for delivery in fake_stripe.webhooks.deliveries] == [500, 302, 200]
    assert len({event["id"] for event in receiver.events}) == 1


def test_an_event_remains_undelivered_after_the_last_retry(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    receiver.statuses = [500, 400, 404]
    expire(client, fake_stripe)
    wait_until(lambda: len(fake_stripe.webhooks.deliveries) == 3, "three attempts")
    (event,) = client.v1.events.list({"delivery_success": False}).data
    assert (event.type, event.pending_webhooks) == ("checkout.session.expired", 1)
    assert client.v1.events.list({"delivery_success": True}).data == []

    fake_stripe.resend(event.id)
    assert fake_stripe.webhooks.wait_until_idle()
    assert client.v1.events.list({"delivery_success": False}).data == []


def test_retries_follow_the_fakes_clock(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    fake_stripe.webhooks.retry_delays = (3600,)
    receiver.statuses = [500]
    expire(client, fake_stripe)
    wait_until(lambda: len(fake_stripe.webhooks.deliveries) == 1, "the first attempt")
    fake_stripe.clock.advance(3601)
    wait_until(lambda: len(fake_stripe.webhooks.deliveries) == 2, "the second attempt")


def test_held_events_are_delivered_on_release(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    fake_stripe.webhooks.set_mode("hold")
    expire(client, fake_stripe)
    assert (receiver.events, len(client.v1.events.list({"delivery_success": False}).data)) == ([], 1)
    assert fake_stripe.webhooks.release() == 1
    assert fake_stripe.webhooks.wait_until_idle()
    assert receiver.types() == ["checkout.session.expired"]
    assert fake_stripe.webhooks.release() == 0


def test_dropped_events_are_never_delivered(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    fake_stripe.webhooks.set_mode("drop")
    expire(client, fake_stripe)
    assert (fake_stripe.webhooks.release(), receiver.events) == (0, [])
    assert len(client.v1.events.list({"delivery_success": False}).data) == 1


def test_the_pay_page_does_not_wait_for_dropped_events(
    http: requests.Session, session: Any, fake_stripe: FakeStripe
) -> None:
    fake_stripe.webhooks.set_mode("drop")
    fake_stripe.redirect_wait_seconds = 3600
    assert pay(http, session).status_code == 303


def test_duplicated_events_are_delivered_twice_and_once_as_another_event(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    fake_stripe.webhooks.set_mode("duplicate")
    expire(client, fake_stripe)
    assert fake_stripe.webhooks.wait_until_idle()
    assert receiver.types() == ["checkout.session.expired"] * 3
    assert len({event["id"] for event in receiver.events}) == 2


def test_reversed_events_are_delivered_newest_first(
    http: requests.Session, session: Any, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    fake_stripe.webhooks.set_mode("reverse")
    assert pay(http, session).status_code == 303
    assert fake_stripe.webhooks.wait_until_idle()
    assert receiver.types() == [
        "checkout.session.completed",
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
    ]


def test_an_unknown_mode_is_refused(fake_stripe: FakeStripe) -> None:
    with pytest.raises(ValueError, match="unknown webhook mode lose"):
        fake_stripe.webhooks.set_mode("lose")  # type: ignore[arg-type]


def test_both_secrets_sign_while_one_is_being_rolled(
    client: stripe.StripeClient, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    fake_stripe.webhook_secrets = ["whsec_new", credentials.WEBHOOK_SECRET]
    expire(client, fake_stripe)
    assert fake_stripe.webhooks.wait_until_idle()
    receiver.secret = "whsec_new"
    expire(client, fake_stripe)
    assert fake_stripe.webhooks.wait_until_idle()
    assert [signature.count("v1=") for signature in receiver.signatures] == [2, 2]


def test_any_event_can_be_delivered(fake_stripe: FakeStripe, receiver: Receiver) -> None:
    event = {"id": "evt_1", "type": "charge.dispute.created", "data": {"object": {"id": "du_1", "object": "dispute"}}}
    assert fake_stripe.deliver(event) == (200, "ok")
    assert receiver.events[0]["id"] == "evt_1"
    assert receiver.events[0]["livemode"] is False
    assert fake_stripe.deliver(event | {"livemode": True}) == (200, "ok")
    assert receiver.events[1]["livemode"] is True
    assert fake_stripe.deliver(event, secrets=["whsec_forged"]) == (400, "bad signature")
    assert fake_stripe.deliver(event, timestamp=int(time.time()) - 3600) == (400, "bad signature")


def test_the_signature_has_stripes_format() -> None:
    first = "56616cd7c85bdb5348ddeaa66d527be96eaf3e5ab1dbab07c8011322f42b67e2"
    second = "a43ebe9b85dd1af8b8eccd4d0da6d9f38f50734b3aa3746493946d397019b6c4"
    header = sign(b'{"object": "event"}', "whsec_a", "whsec_b", timestamp=1_700_000_000)
    assert header == f"t=1700000000,v1={first},v1={second}"


def test_no_delivery_goes_to_another_machine(fake_stripe: FakeStripe) -> None:
    status, reason = fake_stripe.webhooks.post("http://192.0.2.1/webhook", b"{}", "t=1")
    assert (status, reason) == (None, "the fake delivers on this machine only, not to 192.0.2.1")


def test_endpoints_are_created_listed_changed_and_deleted(
    client: stripe.StripeClient, server: Server, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    endpoints = client.v1.webhook_endpoints
    made = endpoints.create(
        {
            "url": f"{server.url}/webhook",
            "enabled_events": ["checkout.session.expired"],
            "api_version": "2026-10-28.endive",
        }
    )
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert made.status == "enabled"
    assert "secret" not in endpoints.retrieve(made.id)
    assert [endpoint.id for endpoint in endpoints.list().data] == [made.id, fake_stripe.endpoint["id"]]

    receiver.secret = made.secret
    fake_stripe.webhooks.retry_delays = ()
    session = client.v1.checkout.sessions.create(session_params(fake_stripe))
    fake_stripe.pay(session.id, "4000000000000002")
    client.v1.checkout.sessions.expire(session.id)
    assert fake_stripe.webhooks.wait_until_idle()
    # The first endpoint's deliveries, signed with another secret, were refused.
    assert receiver.types() == ["checkout.session.expired"]

    changed = endpoints.update(made.id, {"enabled_events": ["*"], "disabled": True})
    assert (changed.enabled_events, changed.status) == (["*"], "disabled")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        endpoints.update(made.id, {"api_version": "2026-10-28.endive"})  # type: ignore[arg-type]
    assert caught.value.code == "parameter_unknown"
    assert endpoints.delete(made.id).to_dict()["deleted"] is True
    assert [endpoint.id for endpoint in endpoints.list().data] == [fake_stripe.endpoint["id"]]


@pytest.mark.parametrize(
    ("changes", "param"),
    [({"url": "shop"}, "url"), ({"enabled_events": ["money"]}, "enabled_events[0]"), ({"url": None}, "url")],
)
def test_invalid_endpoints_are_refused(client: stripe.StripeClient, changes: Any, param: str) -> None:
    given = {"url": "https://shop.example/webhook", "enabled_events": ["charge.refunded"]} | changes
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.webhook_endpoints.create({name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    assert caught.value.param == param


def test_deliveries_pass_through_an_active_mock_aws(
    client: stripe.StripeClient, http: requests.Session, fake_stripe: FakeStripe, receiver: Receiver
) -> None:
    with mock_aws():
        session = client.v1.checkout.sessions.create(session_params(fake_stripe))
        assert pay(http, session).status_code == 303
    assert fake_stripe.webhooks.wait_until_idle()
    assert len(receiver.events) == 4
