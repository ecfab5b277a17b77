"""shared.adapters.stripe_api through the real SDK to the fake: what it sends, and what it makes of the answers."""

import importlib
import inspect
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from stripe import _request_options

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import stripe_api, stripe_balance
from shared.domain.errors import StripeRefused, StripeUnavailable
from tests.harness.builders import HOUR, NOW, TOTAL, reservation
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import API_KEY
from tests.harness.stored_tables import Stored
from tests.unit.shared.adapters.session_parameters import parameters, strict


@pytest.fixture
def account(stored: Stored, stripe_account: FakeStripe) -> FakeStripe:
    return stripe_account


def test_a_session_is_created_read_and_expired(account: FakeStripe) -> None:
    created = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    assert (created.status, created.payment_status, created.payment_intent) == ("open", "unpaid", None)
    assert created.url is not None
    assert created.expires_at == NOW + timedelta(minutes=35)
    assert stripe_api.retrieve_checkout_session(created.id) == created
    assert stripe_api.expire_checkout_session(created.id).status == "expired"


def test_a_paid_session_comes_with_its_money(account: FakeStripe) -> None:
    created = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    account.pay(created.id)
    session = stripe_api.retrieve_checkout_session(created.id)
    assert (session.status, session.payment_status) == ("complete", "paid")
    assert session.payment_intent is not None
    assert (session.payment_intent.status, session.payment_intent.amount_received) == ("succeeded", TOTAL)
    assert session.payment_intent.currency == "eur"
    assert session.payment_intent.charge is not None
    assert session.payment_intent.captured_at == NOW
    assert session.payment_intent.metadata == json.loads(parameters())["metadata"]


def test_a_declined_card_comes_with_its_code(account: FakeStripe) -> None:
    created = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    account.pay(created.id, "4000000000009995")
    session = stripe_api.retrieve_checkout_session(created.id)
    assert session.status == "open"
    assert session.payment_intent is not None
    assert session.payment_intent.status == "requires_payment_method"
    assert session.payment_intent.decline_code == "insufficient_funds"
    assert session.payment_intent.decline_message is not None


@pytest.mark.defect("P-09")
@pytest.mark.parametrize("paid", [True, False])
def test_expiring_a_session_that_is_not_open_reads_it(account: FakeStripe, *, paid: bool) -> None:
    """It is not an error, and the session shows how it ended."""
    created = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    if paid:
        account.pay(created.id)
    else:
        account.expire_session(created.id)
    assert stripe_api.expire_checkout_session(created.id).status == ("complete" if paid else "expired")


@pytest.mark.defect("D-02")
def test_the_same_key_returns_the_same_session(account: FakeStripe) -> None:
    first = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k1") == first
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k2").id != first.id


def test_the_same_key_with_other_parameters_is_refused(account: FakeStripe) -> None:
    stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    with pytest.raises(StripeRefused):
        stripe_api.create_checkout_session(parameters(attempt_key="3"), idempotency_key="k1")


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "reset", "conflict"])
def test_the_sdk_repeats_a_request_once(account: FakeStripe, kind: Any) -> None:
    account.faults.add("checkout.sessions.create", kind, 1)
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k1").status == "open"
    assert [request.operation for request in account.requests] == ["checkout.sessions.create"] * 2


@pytest.mark.parametrize("kind", ["timeout_before", "reset", "conflict", "rate_limit"])
def test_a_second_failure_is_ours_to_repeat(account: FakeStripe, kind: Any) -> None:
    account.faults.add("checkout.sessions.create", kind, 2)
    with pytest.raises(StripeUnavailable):
        stripe_api.create_checkout_session(parameters(), idempotency_key="k1")


def test_a_500_that_stripe_replays_is_a_refusal(account: FakeStripe) -> None:
    account.faults.add("checkout.sessions.create", "server_error", 1)
    with pytest.raises(StripeUnavailable):
        stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    with pytest.raises(StripeRefused):
        stripe_api.create_checkout_session(parameters(), idempotency_key="k1")


@pytest.mark.defect("D-27")
def test_a_rotated_key_is_read_at_once(stored: Stored, account: FakeStripe) -> None:
    """No function restarts, and no request is lost."""
    stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    account.api_keys = {"sk_test_rotated"}
    stored.parameter("secret_key", "sk_test_rotated")
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k2").status == "open"


def test_a_refused_key_is_an_outage_for_the_booking(account: FakeStripe, log: io.StringIO) -> None:
    """The hold is kept while we fix the key. It is logged as an error, and read again at most every 30 s."""
    account.api_keys = {"sk_test_another"}
    for _ in range(3):
        with pytest.raises(StripeUnavailable):
            stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    assert [json.loads(line)["level"] for line in log.getvalue().splitlines()] == ["ERROR"] * 3
    assert len(account.requests) == 3
    assert API_KEY not in log.getvalue()


@pytest.mark.defect("D-24")
def test_a_secret_that_cannot_be_read_is_an_outage_too(stored: Stored) -> None:
    stored.parameter("secret_key", None)
    with pytest.raises(StripeUnavailable, match="cannot read parameter"):
        stripe_api.retrieve_checkout_session("cs_1")


@pytest.mark.defect("D-16", "D-23")
def test_the_client_has_a_pinned_version_and_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One retry, and time-outs of 2 and 8 seconds: a call takes at most 20 s."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(stripe, "StripeClient", lambda _, **options: given.update(options))
    monkeypatch.setattr(stripe, "RequestsClient", lambda timeout: ("requests", timeout))
    stripe_api._http_client.cache_clear()
    stripe_api._client("sk_test_1", "https://api.stripe.com")
    assert given == {
        "stripe_version": "2026-10-28.endive",
        "max_network_retries": 1,
        "http_client": ("requests", (2, 8)),
        "base_addresses": {"api": "https://api.stripe.com"},
    }
    assert stripe.enable_telemetry is False


@pytest.mark.defect("P-03")
def test_undelivered_events_are_read_page_by_page(account: FakeStripe, clock: Clock) -> None:
    """Processed events stay undelivered for Stripe, and must not hide older ones."""
    account.webhooks.set_mode("drop")
    types = {"checkout.session.completed", "checkout.session.expired"}
    with account.current():
        account.emit("checkout.session.completed", {"id": "cs_too_old"})
    clock.advance(timedelta(hours=1))
    since = clock.now
    with account.current():
        for number in range(250):
            account.emit("checkout.session.expired" if number % 2 else "charge.succeeded", {"id": f"cs_{number}"})
    with account.current():
        delivered = account.all("event")[2]
        account.webhooks._undelivered[delivered["id"]] = set()
    clock.advance(timedelta(seconds=1))
    with account.current():
        account.emit("checkout.session.completed", {"id": "cs_too_new"})
    newest, all_of_them = stripe_api.undelivered_events(since, clock.now, types)
    assert not all_of_them
    oldest, all_of_them = stripe_api.undelivered_events(since, clock.now, types, older_than=newest[0]["id"])
    assert all_of_them
    found = [event["data"]["object"]["id"] for event in [*oldest, *newest]]
    assert found == [f"cs_{number}" for number in range(3, 250, 2)]


class Spy:
    """The SDK's client or one of its attributes; it checks every call's parameters against the SDK's own type."""

    def __init__(self, of: Any, requests: dict[str, Any], *path: str) -> None:
        self.of, self.requests, self.path = of, requests, path

    def __getattr__(self, name: str) -> "Spy":
        return Spy(getattr(self.of, name), self.requests, *self.path, name)

    def __call__(self, *ids: str, params: Any, options: Any = None) -> Any:
        _, *package, _, _ = self.path
        [name] = re.findall(r"\w+Params", str(inspect.signature(self.of).parameters["params"].annotation))
        of_call = getattr(importlib.import_module(".".join(("stripe.params", *package))), name)
        strict(sys.modules[of_call.__module__], name).validate_python(params)
        strict(_request_options, "RequestOptions").validate_python(options or {})
        self.requests[".".join(self.path[1:])] = (params, options)
        return self.of(*ids, params=params, options=options)


def test_every_request_has_the_parameters_that_the_sdk_describes(
    account: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call of the adapter is left out."""
    requests: dict[str, Any] = {}
    client = stripe.StripeClient
    monkeypatch.setattr(stripe, "StripeClient", lambda *key, **options: Spy(client(*key, **options), requests))
    nameless = stripe_api.create_checkout_session(parameters(reservation(customer_email=None)), idempotency_key="k1")
    stripe_api.expire_checkout_session(nameless.id)
    paid = stripe_api.create_checkout_session(parameters(), idempotency_key="k2").id
    account.pay(paid)
    intent = stripe_api.retrieve_checkout_session(paid).payment_intent
    assert intent is not None
    assert stripe_api.retrieve_payment_intent(intent.id) == intent
    assert [session.id for session in stripe_api.list_checkout_sessions(intent.id)] == [paid]
    metadata = {"refund_id": "REF-1", "payment_id": "PAY-RES-1", "reservation_id": "RES-1"}
    refund = stripe_api.create_refund(pi=intent.id, amount=500, metadata=metadata, idempotency_key="REF-1:1")
    assert stripe_api.list_refunds(intent.id, "REF-1") == [refund]
    assert stripe_api.retrieve_payment_intent(intent.id).refunds == (refund,)
    dispute = account.open_dispute(intent.id)["id"]
    assert [disputed.id for disputed in stripe_api.list_disputes(intent.id)] == [dispute]
    assert stripe_api.retrieve_payment_intent(intent.id).disputed
    with account.current():
        for _ in range(stripe_api.MAX_LISTED):
            account.emit("charge.refunded", {})
    [newest, *_], _ = stripe_api.undelivered_events(NOW, NOW + HOUR, {"charge.refunded"})
    stripe_api.undelivered_events(NOW, NOW + HOUR, {"charge.refunded"}, older_than=newest["id"])
    sent = {
        "payment_intent": intent.id,
        "amount": 500,
        "reason": "requested_by_customer",
        "metadata": metadata | {"stack": "booking-test"},
    }
    assert requests["refunds.create"] == (sent, {"idempotency_key": "booking-test:REF-1:1"})
    assert "starting_after" in requests["events.list"][0]
    stripe_balance.transactions_between(NOW, NOW + HOUR, older_than=stripe_balance.transactions_of(refund.id)[0].id)
    source = inspect.getsource(stripe_api) + inspect.getsource(stripe_balance)
    called, named = (re.findall(calls, source) for calls in (r"\bv1\.([\w.]+)\(", r'\bcall\(\s*"([\w.]+)"'))
    assert sorted(requests) == sorted(called) == sorted(named)


def test_times_are_read_as_utc() -> None:
    assert datetime.fromtimestamp(1_795_534_500, UTC) == NOW + timedelta(minutes=35)


def test_the_fake_has_the_clock_of_these_tests(account: FakeStripe, clock: Clock) -> None:
    assert abs(account.clock.now() - clock.now.timestamp()) < 5
