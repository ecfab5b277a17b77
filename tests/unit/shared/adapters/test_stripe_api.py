"""shared.adapters.stripe_api: what is sent to Stripe, and what each of its errors means for us."""

import importlib
import inspect
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import stripe
from pydantic import ConfigDict, TypeAdapter, ValidationError
from stripe import _error, _request_options
from stripe.params.checkout import _session_create_params

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import stripe_api
from shared.domain.attempts import session_expires_at
from shared.domain.errors import StripeRefused, StripeUnavailable
from shared.domain.models import Reservation
from tests.harness.builders import NOW, TOTAL, reservation
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import API_KEY
from tests.harness.stored_tables import Stored


def parameters(of: Reservation | None = None, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "payment_id": "PAY-RES-1",
        "attempt_key": "2",
        "expires_at": NOW + timedelta(minutes=35),
        "success_url": "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://stay.example/booking/cancel?reservation_id=RES-1",
    }
    return stripe_api.checkout_parameters(of or reservation(), **(fields | changes))


# What is sent.


def strict(module: Any, name: str) -> TypeAdapter[Any]:
    """The SDK's own type of a call's parameters, at all depths without anything that it does not name."""
    for of in vars(module).values():
        if inspect.isclass(of) and hasattr(of, "__total__"):
            of.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)  # type: ignore[attr-defined]
    adapter: TypeAdapter[Any] = TypeAdapter(vars(module)[name])
    names = {**vars(_request_options), **vars(module), "StripeContext": str}
    adapter.rebuild(raise_errors=True, _types_namespace=names)
    return adapter


def test_a_sessions_parameters() -> None:
    """D-01 D-06: literal, as they are stored and sent; metadata in both places, the amount in integer cents."""
    metadata = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1", "attempt": "2"}
    assert json.loads(parameters()) == {
        "mode": "payment",
        "submit_type": "book",
        "allowed_payment_method_types": ["card"],
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": 112_500,
                    "product_data": {
                        "name": "Stay 2026-12-20 to 2026-12-22",
                        "description": "Reservation RES-1",
                    },
                },
            }
        ],
        "client_reference_id": "RES-1",
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "expires_at": 1_795_534_500,
        "locale": "auto",
        "success_url": "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://stay.example/booking/cancel?reservation_id=RES-1",
        "adaptive_pricing": {"enabled": False},
        "customer_email": "ada@guests.example",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"expire_at": 1},
        {"line_items": [{"quantity": 1, "price_data": {"currency": "eur", "amount": 1}}]},
        {"payment_intent_data": {"meta": {}}},
        {"line_items": [{"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 1.5}}]},
    ],
)
def test_the_sdks_types_refuse_what_they_do_not_name(wrong: dict[str, Any]) -> None:
    """A misspelt parameter would be seen, at any depth."""
    adapter = strict(_session_create_params, "SessionCreateParams")
    with pytest.raises(ValidationError):
        adapter.validate_python(json.loads(parameters()) | wrong)


def test_a_guest_without_an_address_is_asked_for_it_by_stripe() -> None:
    assert "customer_email" not in json.loads(parameters(reservation(customer_email=None)))


def test_a_session_never_opens_copies_of_itself() -> None:
    """D-09: `after_expiration.recovery` would make another payable session, unknown to us."""
    assert "after_expiration" not in json.loads(parameters())


@pytest.mark.parametrize("window", [timedelta(seconds=3), timedelta(minutes=30), timedelta(hours=23)])
def test_expires_at_is_within_stripes_bounds_whatever_the_window(window: timedelta) -> None:
    """D-21: with 5 minutes to spare for the clocks and for repeats."""
    sent = json.loads(parameters(expires_at=session_expires_at(NOW, window)))["expires_at"]
    assert sent - NOW.timestamp() >= 35 * 60
    assert sent - NOW.timestamp() <= 24 * 3600
    assert sent - NOW.timestamp() > window.total_seconds()


def test_the_same_parameters_are_the_same_bytes() -> None:
    """D-02."""
    assert parameters() == parameters()


def test_names_are_stored_as_they_are_written() -> None:
    of = reservation(customer_email="renée@guests.example", check_in=date(2026, 12, 20))
    assert "renée@guests.example" in parameters(of)


# What the errors mean.


def subclasses(of: type[stripe.StripeError]) -> Iterator[type[stripe.StripeError]]:
    for sub in of.__subclasses__():
        yield sub
        yield from subclasses(sub)


# Every class of the SDK's errors: an update that brings another one fails here, until somebody has decided about it.
UNAVAILABLE = {"APIConnectionError", "RateLimitError", "AuthenticationError", "PermissionError"}
BY_STATUS = {"APIError"}
REFUSED = {
    "AlreadyCanceledError",
    "BlockedByStripeError",
    "CannotProceedError",
    "CapabilityNotEnabledError",
    "CardError",
    "ControlledByAlternateResourceError",
    "FeatureNotEnabledError",
    "FinancialAccountNotOpenError",
    "FxQuoteNeedsRefreshError",
    "IdempotencyError",
    "InsufficientFundsError",
    "InvalidPaymentMethodError",
    "InvalidPayoutMethodError",
    "InvalidRequestError",
    "InvalidVaultedCredentialError",
    "NotCancelableError",
    "QuotaExceededError",
    "RecipientNotNotifiableError",
    "StripeErrorWithParamCode",
    "TemporarySessionExpiredError",
    "VerificationAttemptFailedError",
    "VerificationExpiredError",
    "VerificationNotInitiatedError",
}
# Never raised by a call of ours: webhooks are verified without the SDK.
NOT_OURS = {"SignatureVerificationError"}

CLASSES = {of.__name__: of for of in subclasses(stripe.StripeError) if of.__module__ == _error.__name__}


def test_every_error_class_of_the_sdk_is_decided_about() -> None:
    assert set(CLASSES) == UNAVAILABLE | BY_STATUS | REFUSED | NOT_OURS
    assert {of.__name__ for of in stripe_api.TRANSIENT} == UNAVAILABLE


def made(of: type[stripe.StripeError], status: int | None, headers: Mapping[str, str] | None = None) -> Any:
    body = {"error": {"type": "invalid_request_error", "code": "some_code", "param": "expires_at", "message": "text"}}
    error = of.__new__(of)
    stripe.StripeError.__init__(error, "text", json.dumps(body), status, body, dict(headers or {}), None)
    return error


@pytest.mark.parametrize("name", sorted(UNAVAILABLE))
def test_what_is_worth_another_try(name: str) -> None:
    """D-24."""
    assert isinstance(stripe_api._translate("op", made(CLASSES[name], 400)), StripeUnavailable)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not(name: str) -> None:
    refusal = stripe_api._translate("op", made(CLASSES[name], 400))
    assert isinstance(refusal, StripeRefused)
    assert (refusal.code, refusal.param) == ("some_code", "expires_at")


@pytest.mark.parametrize(
    ("status", "unavailable"),
    [
        (None, True),
        (200, True),
        (400, False),
        (404, False),
        (409, True),
        (424, True),
        (429, True),
        (500, True),
        (502, True),
        (503, True),
        (504, True),
    ],
)
def test_an_api_error_is_decided_by_its_status(status: int | None, *, unavailable: bool) -> None:
    """200 is an answer that could not be read."""
    told = stripe_api._translate("op", made(stripe.APIError, status))
    assert isinstance(told, StripeUnavailable) is unavailable


def test_a_stored_500_is_a_refusal() -> None:
    """The key will never say anything else (idempotency replays it)."""
    assert isinstance(
        stripe_api._translate("op", made(stripe.APIError, 500, {"Idempotent-Replayed": "true"})), StripeRefused
    )


def test_an_error_class_of_tomorrow_is_a_refusal() -> None:
    """Unknown is permanent and loud."""
    assert isinstance(
        stripe_api._translate("op", made(type("NewError", (stripe.StripeError,), {}), 500)), StripeRefused
    )


def test_what_is_told_and_logged_holds_neither_key_nor_address(log: io.StringIO) -> None:
    quoted = f"Invalid email ada@guests.example with key {API_KEY}"
    body = {"error": {"type": "invalid_request_error", "code": "email_invalid", "message": quoted}}
    error = stripe.InvalidRequestError(  # type: ignore[no-untyped-call]
        quoted, "customer_email", "email_invalid", json.dumps(body), 400, body, {"request-id": "req_1"}
    )
    told = stripe_api._translate("checkout.sessions.create", error)
    assert str(told) == "checkout.sessions.create: InvalidRequestError, status 400, code email_invalid, request req_1"
    assert "ada@guests.example" not in log.getvalue()
    assert API_KEY not in log.getvalue()
    line = json.loads(log.getvalue())
    assert (line["level"], line["stripe_request_id"], line["stripe_code"]) == ("ERROR", "req_1", "email_invalid")


# Through the real SDK, to the fake.


@pytest.fixture
def account(stored: Stored, stripe_account: FakeStripe) -> FakeStripe:
    return stripe_account


def test_a_session_is_created_read_and_expired(account: FakeStripe) -> None:
    made = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    assert (made.status, made.payment_status, made.payment_intent) == ("open", "unpaid", None)
    assert made.url is not None
    assert made.expires_at == NOW + timedelta(minutes=35)
    assert stripe_api.retrieve_checkout_session(made.id) == made
    assert stripe_api.expire_checkout_session(made.id).status == "expired"


def test_a_paid_session_tells_its_money(account: FakeStripe) -> None:
    made = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    account.pay(made.id)
    told = stripe_api.retrieve_checkout_session(made.id)
    assert (told.status, told.payment_status) == ("complete", "paid")
    assert told.payment_intent is not None
    assert (told.payment_intent.status, told.payment_intent.amount_received) == ("succeeded", TOTAL)
    assert told.payment_intent.currency == "eur"
    assert told.payment_intent.charge is not None
    assert told.payment_intent.captured_at == NOW
    assert told.payment_intent.metadata == {"reservation_id": "RES-1", "payment_id": "PAY-RES-1", "attempt": "2"}


def test_a_declined_card_is_told_with_its_code(account: FakeStripe) -> None:
    made = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    account.pay(made.id, "4000000000009995")
    told = stripe_api.retrieve_checkout_session(made.id)
    assert told.status == "open"
    assert told.payment_intent is not None
    assert told.payment_intent.status == "requires_payment_method"
    assert told.payment_intent.decline_code == "insufficient_funds"
    assert told.payment_intent.decline_message is not None


@pytest.mark.parametrize("paid", [True, False])
def test_expiring_what_is_not_open_reads_it(account: FakeStripe, *, paid: bool) -> None:
    """P-09: no error, and the session says how it ended."""
    made = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    if paid:
        account.pay(made.id)
    else:
        account.expire_session(made.id)
    assert stripe_api.expire_checkout_session(made.id).status == ("complete" if paid else "expired")


def test_the_same_key_brings_the_same_session(account: FakeStripe) -> None:
    """D-02."""
    first = stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k1") == first
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k2").id != first.id


def test_the_same_key_with_other_parameters_is_refused(account: FakeStripe) -> None:
    stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    with pytest.raises(StripeRefused):
        stripe_api.create_checkout_session(parameters(attempt_key="3"), idempotency_key="k1")


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "reset", "conflict"])
def test_one_lost_answer_is_made_up_for_by_the_sdk(account: FakeStripe, kind: Any) -> None:
    account.faults.add("checkout.sessions.create", kind, 1)
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k1").status == "open"
    assert [request.operation for request in account.requests] == ["checkout.sessions.create"] * 2


@pytest.mark.parametrize("kind", ["timeout_before", "reset", "conflict", "rate_limit"])
def test_more_of_them_are_ours_to_repeat(account: FakeStripe, kind: Any) -> None:
    account.faults.add("checkout.sessions.create", kind, 2)
    with pytest.raises(StripeUnavailable):
        stripe_api.create_checkout_session(parameters(), idempotency_key="k1")


def test_a_replayed_500_is_a_refusal(account: FakeStripe) -> None:
    account.faults.add("checkout.sessions.create", "server_error", 1)
    with pytest.raises(StripeUnavailable):
        stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    with pytest.raises(StripeRefused):
        stripe_api.create_checkout_session(parameters(), idempotency_key="k1")


def test_a_rolled_key_is_read_at_once(stored: Stored, account: FakeStripe) -> None:
    """D-27: no restart, and no request lost."""
    stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    account.api_keys = {"sk_test_rolled"}
    stored.parameter("secret_key", "sk_test_rolled")
    assert stripe_api.create_checkout_session(parameters(), idempotency_key="k2").status == "open"


def test_a_refused_key_is_an_outage_for_the_booking(account: FakeStripe, log: io.StringIO) -> None:
    """The hold is kept while we mend it; it is logged as an error, and SSM asked once in 30 s."""
    account.api_keys = {"sk_test_another"}
    for _ in range(3):
        with pytest.raises(StripeUnavailable):
            stripe_api.create_checkout_session(parameters(), idempotency_key="k1")
    assert [json.loads(line)["level"] for line in log.getvalue().splitlines()] == ["ERROR"] * 3
    assert len(account.requests) == 3
    assert API_KEY not in log.getvalue()


def test_a_secret_store_that_does_not_answer_is_an_outage_too(stored: Stored) -> None:
    """D-24."""
    stored.parameter("secret_key", None)
    with pytest.raises(StripeUnavailable, match="cannot read parameter"):
        stripe_api.retrieve_checkout_session("cs_1")


def test_the_client_is_bounded_in_time_and_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-16 D-23: our version of the API, one further try, 2 and 8 seconds; 20 s bound a call."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(stripe, "StripeClient", lambda _, **options: given.update(options))
    monkeypatch.setattr(stripe, "RequestsClient", lambda timeout: ("requests", timeout))
    stripe_api._client("sk_test_1", "https://api.stripe.com")
    assert given == {
        "stripe_version": "2026-10-28.endive",
        "max_network_retries": 1,
        "http_client": ("requests", (2, 8)),
        "base_addresses": {"api": "https://api.stripe.com"},
    }
    assert stripe.enable_telemetry is False


# Events.


def test_events_that_never_came_are_found_behind_hundreds_of_others(account: FakeStripe, clock: Clock) -> None:
    """P-03: what was processed once stays undelivered to Stripe, and must not hide what is older."""
    account.webhooks.set_mode("drop")
    with account.current():
        account.emit("checkout.session.completed", {"id": "cs_too_old"})
    clock.advance(timedelta(hours=1))
    with account.current():
        for number in range(250):
            account.emit("checkout.session.expired" if number % 2 else "charge.succeeded", {"id": f"cs_{number}"})
    found = stripe_api.undelivered_events(clock.now, {"checkout.session.completed", "checkout.session.expired"})
    assert [event["data"]["object"]["id"] for event in found] == [f"cs_{number}" for number in range(1, 250, 2)]


# Every request.


class Spy:
    """The SDK's client, or what one of its names leads to; a call's parameters are held to the SDK's own type."""

    def __init__(self, of: Any, asked: dict[str, Any], *path: str) -> None:
        self.of, self.asked, self.path = of, asked, path

    def __getattr__(self, name: str) -> "Spy":
        return Spy(getattr(self.of, name), self.asked, *self.path, name)

    def __call__(self, *ids: str, params: Any, options: Any = None) -> Any:
        _, *package, _, _ = self.path
        [name] = re.findall(r"\w+Params", str(inspect.signature(self.of).parameters["params"].annotation))
        of_call = getattr(importlib.import_module(".".join(("stripe.params", *package))), name)
        strict(sys.modules[of_call.__module__], name).validate_python(params)
        strict(_request_options, "RequestOptions").validate_python(options or {})
        self.asked[".".join(self.path[1:])] = (params, options)
        return self.of(*ids, params=params, options=options)


def test_every_request_is_one_that_the_sdk_describes(account: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no call of ours is left out here."""
    asked: dict[str, Any] = {}
    client = stripe.StripeClient
    monkeypatch.setattr(stripe, "StripeClient", lambda *key, **options: Spy(client(*key, **options), asked))
    nameless = stripe_api.create_checkout_session(parameters(reservation(customer_email=None)), idempotency_key="k1")
    stripe_api.expire_checkout_session(nameless.id)
    paid = stripe_api.create_checkout_session(parameters(), idempotency_key="k2").id
    account.pay(paid)
    intent = stripe_api.retrieve_checkout_session(paid).payment_intent
    assert intent is not None
    assert stripe_api.retrieve_payment_intent(intent.id) == intent
    metadata = {"refund_id": "REF-1", "payment_id": "PAY-RES-1", "reservation_id": "RES-1"}
    made = stripe_api.create_refund(pi=intent.id, amount=500, metadata=metadata, idempotency_key="REF-1:1")
    assert stripe_api.list_refunds(intent.id, "REF-1") == [made]
    with account.current():
        for _ in range(stripe_api.MAX_LISTED):
            account.emit("charge.refunded", {})
    stripe_api.undelivered_events(NOW, {"charge.refunded"})
    sent = {"payment_intent": intent.id, "amount": 500, "reason": "requested_by_customer", "metadata": metadata}
    assert asked["refunds.create"] == (sent, {"idempotency_key": "REF-1:1"})
    assert "starting_after" in asked["events.list"][0]
    source = inspect.getsource(stripe_api)
    called, named = (re.findall(calls, source) for calls in (r"\bv1\.([\w.]+)\(", r'_call\(\s*"([\w.]+)"'))
    assert sorted(asked) == sorted(called) == sorted(named)


def test_a_time_is_read_as_utc() -> None:
    assert datetime.fromtimestamp(1_795_534_500, UTC) == NOW + timedelta(minutes=35)


def test_the_clock_of_these_tests_is_stripes_too(account: FakeStripe, clock: Clock) -> None:
    assert abs(account.clock.now() - clock.now.timestamp()) < 5
