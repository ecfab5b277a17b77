"""shared.adapters.stripe_api: which of Stripe's errors a retry may solve, and which are refusals."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe import _error

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import secrets, stripe_api
from shared.domain.errors import StripeRefused, StripeUnavailable
from tests.harness.lambda_environment import API_KEY
from tests.harness.stored_tables import Stored
from tests.harness.stripe_in_process import InProcess
from tests.harness.tables import in_table, read_tables


def subclasses(of: type[stripe.StripeError]) -> Iterator[type[stripe.StripeError]]:
    for sub in of.__subclasses__():
        yield sub
        yield from subclasses(sub)


CLASSIFIED: dict[str, list[str]] = read_tables(Path(__file__))["error_classes"]
UNAVAILABLE, REFUSED = CLASSIFIED["unavailable"], CLASSIFIED["refused"]
CLASSES = {of.__name__: of for of in subclasses(stripe.StripeError) if of.__module__ == _error.__name__}


def test_every_error_class_of_the_sdk_is_classified() -> None:
    assert sorted(CLASSES) == sorted(name for names in CLASSIFIED.values() for name in names)
    assert {of.__name__ for of in stripe_api.TRANSIENT} == set(UNAVAILABLE)


def build_error(of: type[stripe.StripeError], status: int | None, headers: Mapping[str, str] | None = None) -> Any:
    body = {"error": {"type": "invalid_request_error", "code": "some_code", "param": "expires_at", "message": "text"}}
    error = of.__new__(of)
    stripe.StripeError.__init__(error, "text", json.dumps(body), status, body, dict(headers or {}), None)
    return error


@pytest.mark.defect("D-24")
@pytest.mark.parametrize("name", UNAVAILABLE)
def test_which_errors_are_worth_a_retry(name: str) -> None:
    assert isinstance(stripe_api._translate("op", build_error(CLASSES[name], 400)), StripeUnavailable)


@pytest.mark.parametrize("name", REFUSED)
def test_which_errors_are_refusals(name: str) -> None:
    refusal = stripe_api._translate("op", build_error(CLASSES[name], 400))
    assert isinstance(refusal, StripeRefused)
    assert (refusal.code, refusal.param) == ("some_code", "expires_at")


@in_table()
def test_an_api_error_is_classified_by_its_status(status: int | None, *, unavailable: bool) -> None:
    """An APIError with status 200 is an answer that the SDK cannot read."""
    error = stripe_api._translate("op", build_error(stripe.APIError, status))
    assert isinstance(error, StripeUnavailable) is unavailable


def test_a_replayed_500_is_a_refusal() -> None:
    """The idempotency key will never give another answer."""
    assert isinstance(
        stripe_api._translate("op", build_error(stripe.APIError, 500, {"Idempotent-Replayed": "true"})), StripeRefused
    )


def test_an_unknown_error_class_is_a_refusal() -> None:
    """What is unknown is permanent and logged as an error."""
    assert isinstance(
        stripe_api._translate("op", build_error(type("NewError", (stripe.StripeError,), {}), 500)), StripeRefused
    )


def test_neither_message_nor_log_contains_a_key_or_an_email_address(log: io.StringIO) -> None:
    quoted = f"Invalid email ada@guests.example with key {API_KEY}"
    body = {"error": {"type": "invalid_request_error", "code": "email_invalid", "message": quoted}}
    error = stripe.InvalidRequestError(  # type: ignore[no-untyped-call]
        quoted, "customer_email", "email_invalid", json.dumps(body), 400, body, {"request-id": "req_1"}
    )
    translated = stripe_api._translate("checkout.sessions.create", error)
    assert (
        str(translated)
        == "checkout.sessions.create: InvalidRequestError, status 400, code email_invalid, request req_1"
    )
    assert "ada@guests.example" not in log.getvalue()
    assert API_KEY not in log.getvalue()
    line = json.loads(log.getvalue())
    assert (line["level"], line["stripe_request_id"], line["stripe_code"]) == ("ERROR", "req_1", "email_invalid")


@pytest.mark.defect("R-04")
@pytest.mark.parametrize(
    "body",
    [b"<html>blocked</html>", b"", b'{"message": "Forbidden"}', b'{"error": "forbidden"}', b"[]", b"null", b"\xff"],
    ids=["a page", "nothing", "a gateway's error", "an error in words", "a list", "null", "not text"],
)
@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 408, 451, 502])
def test_an_answer_that_is_not_stripes_is_an_outage(
    status: int, body: bytes, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something between us and Stripe has answered: nothing is known about the request."""

    class Between(InProcess):
        def __init__(self) -> None:
            stripe.HTTPClient.__init__(self)

        def request(self, *_: Any, **__: Any) -> Any:
            return body, status, {}

    monkeypatch.setattr(stripe, "RequestsClient", lambda **_: Between())
    for cached in (stripe_api._client, stripe_api._http_client):
        cached.cache_clear()
    for call in (stripe_api.retrieve_checkout_session, stripe_api.retrieve_payment_intent):
        with pytest.raises(StripeUnavailable):
            call("cs_1")
    with pytest.raises(StripeUnavailable):
        stripe_api.list_refunds("pi_1", "G1")
    for cached in (stripe_api._client, stripe_api._http_client):
        cached.cache_clear()


@pytest.mark.defect("R-04")
@pytest.mark.parametrize("kind", ["html_403", "html_408"])
def test_the_fake_answers_with_a_page_on_request(kind: Any, stored: Stored, stripe_account: FakeStripe) -> None:
    stripe_account.faults.add("payment_intents.retrieve", kind)
    with pytest.raises(StripeUnavailable, match=f"status {kind[-3:]}"):
        stripe_api.retrieve_payment_intent("pi_1")


@pytest.mark.defect("R-14")
@pytest.mark.parametrize("value", ["sk_test_MARKER\nsk_test_MARKER", "MARKER é", "to be set by make stripe-webhook"])
def test_a_key_of_another_form_is_never_sent_or_logged(
    value: str, stored: Stored, stripe_account: FakeStripe, log: io.StringIO
) -> None:
    """The HTTP client would quote it. Once it is corrected, it is read again."""
    stored.parameter("secret_key", value)
    with pytest.raises(StripeUnavailable, match=r"^secret_key does not have the form"):
        stripe_api.list_refunds("pi_1", "G1")
    assert stripe_account.requests == []
    assert "MARKER" not in log.getvalue()
    secrets._refreshed.clear()
    stored.parameter("secret_key", API_KEY)
    assert stripe_api.list_refunds("pi_1", "G1") == []
