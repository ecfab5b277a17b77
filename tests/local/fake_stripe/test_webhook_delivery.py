"""Events, webhook deliveries and webhook endpoints."""

import time
from typing import Any

import pytest
import stripe
from moto import mock_aws

from local import credentials
from local.fake_stripe.webhook_delivery import sign
from tests.harness.waiting import wait_until
from tests.local.fake_stripe.conftest import Account, refused


def expire(account: Account) -> str:
    """The quickest way to one event; returns the id of the session."""
    session = account.create_session()
    account.sessions.expire(session.id)
    return str(session.id)


def test_events_have_the_full_envelope(account: Account) -> None:
    session = account.create_session()
    account.sessions.expire(session.id, options={"idempotency_key": "close-1"})
    account.wait_until_idle()
    (event,) = account.receiver.events
    assert event["object"] == "event"
    assert event["api_version"] == stripe.api_version == "2026-10-28.endive"
    assert (event["livemode"], event["pending_webhooks"]) == (False, 1)
    assert event["request"] == {"id": account.fake.requests[-1].id, "idempotency_key": "close-1"}
    assert event["data"]["object"]["id"] == session.id
    assert account.v1.events.retrieve(event["id"]).type == "checkout.session.expired"


def test_an_event_contains_the_object_as_it_was(account: Account, session: Any) -> None:
    account.pay(session)
    account.wait_until_idle()
    assert [intent["status"] for intent in account.receiver.of("payment_intent.created")] == ["requires_payment_method"]
    assert [intent["status"] for intent in account.receiver.of("payment_intent.succeeded")] == ["succeeded"]
    assert isinstance(account.receiver.of("checkout.session.completed")[0]["payment_intent"], str)
    assert account.v1.events.list({"type": "payment_intent.created"}).data[0].data.object["status"] == (
        "requires_payment_method"
    )


def test_a_failed_delivery_is_retried_until_it_succeeds(account: Account) -> None:
    account.receiver.statuses = [500, 302]
    expire(account)
    wait_until(lambda: len(account.receiver.events) == 3, "three deliveries")
    wait_until(lambda: len(account.v1.events.list({"delivery_success": True}).data) == 1, "a successful delivery")
    assert [delivery.status for delivery in account.fake.webhooks.deliveries] == [500, 302, 200]
    assert len({event["id"] for event in account.receiver.events}) == 1


def test_an_event_remains_undelivered_after_the_last_retry(account: Account) -> None:
    account.receiver.statuses = [500, 400, 404]
    expire(account)
    wait_until(lambda: len(account.fake.webhooks.deliveries) == 3, "three attempts")
    (event,) = account.v1.events.list({"delivery_success": False}).data
    assert (event.type, event.pending_webhooks) == ("checkout.session.expired", 1)
    assert account.v1.events.list({"delivery_success": True}).data == []

    account.fake.resend(event.id)
    account.wait_until_idle()
    assert account.v1.events.list({"delivery_success": False}).data == []


def test_retries_follow_the_fakes_clock(account: Account) -> None:
    account.fake.webhooks.retry_delays = (3600,)
    account.receiver.statuses = [500]
    expire(account)
    wait_until(lambda: len(account.fake.webhooks.deliveries) == 1, "the first attempt")
    account.fake.clock.advance(3601)
    wait_until(lambda: len(account.fake.webhooks.deliveries) == 2, "the second attempt")


def test_held_events_are_delivered_on_release(account: Account) -> None:
    account.fake.webhooks.set_mode("hold")
    expire(account)
    assert (account.receiver.events, len(account.v1.events.list({"delivery_success": False}).data)) == ([], 1)
    assert account.fake.webhooks.release() == 1
    assert account.delivered() == ["checkout.session.expired"]
    assert account.fake.webhooks.release() == 0


def test_dropped_events_are_never_delivered(account: Account) -> None:
    account.fake.webhooks.set_mode("drop")
    expire(account)
    assert (account.fake.webhooks.release(), account.receiver.events) == (0, [])
    assert len(account.v1.events.list({"delivery_success": False}).data) == 1


def test_the_pay_page_does_not_wait_for_dropped_events(account: Account, session: Any) -> None:
    account.fake.webhooks.set_mode("drop")
    account.fake.redirect_wait_seconds = 3600
    assert account.pay(session).status_code == 303


def test_duplicated_events_are_delivered_twice_and_once_as_another_event(account: Account) -> None:
    account.fake.webhooks.set_mode("duplicate")
    expire(account)
    assert account.delivered() == ["checkout.session.expired"] * 3
    assert len({event["id"] for event in account.receiver.events}) == 2


def test_reversed_events_are_delivered_newest_first(account: Account, session: Any) -> None:
    account.fake.webhooks.set_mode("reverse")
    assert account.pay(session).status_code == 303
    assert account.delivered() == [
        "checkout.session.completed",
        "payment_intent.succeeded",
        "charge.succeeded",
        "payment_intent.created",
    ]


def test_an_unknown_mode_is_refused(account: Account) -> None:
    with pytest.raises(ValueError, match="unknown webhook mode lose"):
        account.fake.webhooks.set_mode("lose")  # type: ignore[arg-type]


def test_both_secrets_sign_while_one_is_being_rolled(account: Account) -> None:
    account.fake.webhook_secrets = ["whsec_new", credentials.WEBHOOK_SECRET]
    expire(account)
    account.wait_until_idle()
    account.receiver.secret = "whsec_new"
    expire(account)
    account.wait_until_idle()
    assert [signature.count("v1=") for signature in account.receiver.signatures] == [2, 2]


def test_any_event_can_be_delivered(account: Account) -> None:
    event = {"id": "evt_1", "type": "charge.dispute.created", "data": {"object": {"id": "du_1", "object": "dispute"}}}
    assert account.fake.deliver(event) == (200, "ok")
    assert account.receiver.events[0]["id"] == "evt_1"
    assert account.receiver.events[0]["livemode"] is False
    assert account.fake.deliver(event | {"livemode": True}) == (200, "ok")
    assert account.receiver.events[1]["livemode"] is True
    assert account.fake.deliver(event, secrets=["whsec_forged"]) == (400, "bad signature")
    assert account.fake.deliver(event, timestamp=int(time.time()) - 3600) == (400, "bad signature")


def test_the_signature_has_stripes_format() -> None:
    first = "56616cd7c85bdb5348ddeaa66d527be96eaf3e5ab1dbab07c8011322f42b67e2"
    second = "a43ebe9b85dd1af8b8eccd4d0da6d9f38f50734b3aa3746493946d397019b6c4"
    header = sign(b'{"object": "event"}', "whsec_a", "whsec_b", timestamp=1_700_000_000)
    assert header == f"t=1700000000,v1={first},v1={second}"


def test_no_delivery_goes_to_another_machine(account: Account) -> None:
    status, reason = account.fake.webhooks.post("http://192.0.2.1/webhook", b"{}", "t=1")
    assert (status, reason) == (None, "the fake delivers on this machine only, not to 192.0.2.1")


def test_endpoints_are_created_listed_changed_and_deleted(account: Account) -> None:
    endpoints = account.v1.webhook_endpoints
    made = endpoints.create(
        {
            "url": f"{account.url}/webhook",
            "enabled_events": ["checkout.session.expired"],
            "api_version": "2026-10-28.endive",
        }
    )
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert made.status == "enabled"
    assert "secret" not in endpoints.retrieve(made.id)
    assert [endpoint.id for endpoint in endpoints.list().data] == [made.id, account.fake.endpoint["id"]]

    account.receiver.secret = made.secret
    account.fake.webhooks.retry_delays = ()
    session = account.create_session()
    account.fake.pay(session.id, "4000000000000002")
    account.sessions.expire(session.id)
    account.wait_until_idle()
    # The first endpoint's deliveries, signed with another secret, were refused.
    assert account.receiver.types() == ["checkout.session.expired"]

    changed = endpoints.update(made.id, {"enabled_events": ["*"], "disabled": True})
    assert (changed.enabled_events, changed.status) == (["*"], "disabled")
    with refused(code="parameter_unknown"):
        endpoints.update(made.id, {"api_version": "2026-10-28.endive"})  # type: ignore[arg-type]
    assert endpoints.delete(made.id).to_dict()["deleted"] is True
    assert [endpoint.id for endpoint in endpoints.list().data] == [account.fake.endpoint["id"]]


@pytest.mark.parametrize(
    ("changes", "param"),
    [({"url": "shop"}, "url"), ({"enabled_events": ["money"]}, "enabled_events[0]"), ({"url": None}, "url")],
)
def test_invalid_endpoints_are_refused(account: Account, changes: Any, param: str) -> None:
    given = {"url": "https://shop.example/webhook", "enabled_events": ["charge.refunded"]} | changes
    with refused(param=param):
        account.v1.webhook_endpoints.create({name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def test_deliveries_pass_through_an_active_mock_aws(account: Account) -> None:
    with mock_aws():
        session = account.create_session()
        assert account.pay(session).status_code == 303
    account.wait_until_idle()
    assert len(account.receiver.events) == 4
