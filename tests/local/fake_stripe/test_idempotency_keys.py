"""Idempotency keys."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from local import credentials
from local.fake_stripe.fake_stripe import FakeStripe
from tests.local.fake_stripe.conftest import make_client, session_params

KEY: Any = {"idempotency_key": "PAY-r1:checkout:1"}


def replayed(answer: Any) -> bool:
    headers = answer.last_response.headers if hasattr(answer, "last_response") else answer.headers
    return {name.lower(): value for name, value in headers.items()}.get("idempotent-replayed") == "true"


def test_the_same_request_gets_the_first_response(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    params = session_params(fake_stripe)
    first = client.v1.checkout.sessions.create(params, KEY)
    client.v1.checkout.sessions.expire(first.id)
    second = client.v1.checkout.sessions.create(params, KEY)
    assert (second.id, second.status) == (first.id, "open")
    assert (replayed(first), replayed(second)) == (False, True)
    assert len(client.v1.checkout.sessions.list().data) == 1


def test_other_parameters_under_the_same_key_are_refused(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    params = session_params(fake_stripe)
    client.v1.checkout.sessions.create(params, KEY)
    with pytest.raises(stripe.IdempotencyError) as caught:
        client.v1.checkout.sessions.create(params | {"expires_at": params["expires_at"] + 1}, KEY)
    assert caught.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"payment_intent": "pi_x"}, KEY)


def test_a_key_is_forgotten_after_a_day(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    params = session_params(fake_stripe, expires_at=None)
    first = client.v1.checkout.sessions.create(params, KEY)
    fake_stripe.clock.advance(24 * 3600 - 60)
    assert client.v1.checkout.sessions.create(params, KEY).id == first.id
    fake_stripe.clock.advance(61)
    assert client.v1.checkout.sessions.create(params, KEY).id != first.id


def test_what_was_not_executed_is_not_remembered(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    params = session_params(fake_stripe)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(params | {"expires_at": fake_stripe.clock.timestamp() + 60}, KEY)
    for kind, error in (("rate_limit", stripe.RateLimitError), ("conflict", stripe.APIError)):
        fake_stripe.faults.add("checkout.sessions.create", kind)  # type: ignore[arg-type]
        with pytest.raises(error):
            client.v1.checkout.sessions.create(params, KEY)
    assert not replayed(client.v1.checkout.sessions.create(params, KEY))


def test_a_500_is_remembered_and_not_retried_by_the_sdk(fake_stripe: FakeStripe, http: requests.Session) -> None:
    client = make_client(fake_stripe, http, retries=2)
    params = session_params(fake_stripe)
    fake_stripe.faults.add("checkout.sessions.create", "server_error")
    for expected in (False, True):
        with pytest.raises(stripe.APIError) as caught:
            client.v1.checkout.sessions.create(params, KEY)
        assert caught.value.http_status == 500
        assert replayed(caught.value) is expected
    assert len(fake_stripe.requests) == 2
    assert client.v1.checkout.sessions.list().data == []


def test_a_500_is_possible_after_the_execution(client: stripe.StripeClient, paid: Any, fake_stripe: FakeStripe) -> None:
    fake_stripe.faults.add("refunds.create", "server_error_after")
    with pytest.raises(stripe.APIError):
        client.v1.refunds.create({"payment_intent": paid.id}, KEY)
    assert len(client.v1.refunds.list({"payment_intent": paid.id}).data) == 1


def test_a_refusal_during_execution_is_remembered(client: stripe.StripeClient, paid: Any) -> None:
    refund = client.v1.refunds.create({"payment_intent": paid.id})
    answers = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.refunds.create({"payment_intent": paid.id}, KEY)
        answers.append((caught.value.code, replayed(caught.value)))
    assert answers == [("charge_already_refunded", False), ("charge_already_refunded", True)]
    assert refund.status == "succeeded"


def test_concurrent_requests_with_one_key_are_executed_once(
    client: stripe.StripeClient, fake_stripe: FakeStripe
) -> None:
    fake_stripe.latency_seconds = 0.3
    params = session_params(fake_stripe)

    def create(_: int) -> str:
        with requests.Session() as http:
            try:
                return str(make_client(fake_stripe, http).v1.checkout.sessions.create(params, KEY).id)
            except stripe.APIError as error:
                return f"{error.http_status} {error.error and error.error.code}"

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(create, range(3)))
    assert answers[:2] == ["409 idempotency_key_in_use"] * 2
    assert answers[2].startswith("cs_test_")
    assert client.v1.checkout.sessions.create(params, KEY).id == answers[2]


def test_a_lost_response_is_replayed_to_the_sdks_retry(fake_stripe: FakeStripe, http: requests.Session) -> None:
    client = make_client(fake_stripe, http, retries=1)
    fake_stripe.faults.add("checkout.sessions.create", "timeout_after")
    made = client.v1.checkout.sessions.create(session_params(fake_stripe), KEY)
    assert replayed(made)
    assert [session.id for session in client.v1.checkout.sessions.list().data] == [made.id]


def test_a_key_that_is_too_long_is_refused(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(session_params(fake_stripe), {"idempotency_key": "k" * 256})


def test_a_replay_also_needs_a_valid_api_key(client: stripe.StripeClient, fake_stripe: FakeStripe) -> None:
    params = session_params(fake_stripe)
    client.v1.checkout.sessions.create(params, KEY)
    fake_stripe.api_keys = {"sk_test_local_new"}
    with pytest.raises(stripe.AuthenticationError):
        client.v1.checkout.sessions.create(params, KEY)
    assert credentials.STRIPE_API_KEY not in fake_stripe.api_keys
