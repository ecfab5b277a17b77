"""Idempotency keys."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from local import credentials
from tests.local.fake_stripe.conftest import Account, refused

KEY: Any = {"idempotency_key": "PAY-r1:checkout:1"}


def replayed(answer: Any) -> bool:
    headers = answer.last_response.headers if hasattr(answer, "last_response") else answer.headers
    return {name.lower(): value for name, value in headers.items()}.get("idempotent-replayed") == "true"


def test_the_same_request_gets_the_first_response(account: Account) -> None:
    params = account.params()
    first = account.sessions.create(params, KEY)
    account.sessions.expire(first.id)
    second = account.sessions.create(params, KEY)
    assert (second.id, second.status) == (first.id, "open")
    assert (replayed(first), replayed(second)) == (False, True)
    assert len(account.sessions.list().data) == 1


def test_other_parameters_under_the_same_key_are_refused(account: Account) -> None:
    params = account.params()
    account.sessions.create(params, KEY)
    with pytest.raises(stripe.IdempotencyError) as caught:
        account.sessions.create(params | {"expires_at": params["expires_at"] + 1}, KEY)
    assert caught.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        account.v1.refunds.create({"payment_intent": "pi_x"}, KEY)


def test_a_key_is_forgotten_after_a_day(account: Account) -> None:
    params = account.params(expires_at=None)
    first = account.sessions.create(params, KEY)
    account.fake.clock.advance(24 * 3600 - 60)
    assert account.sessions.create(params, KEY).id == first.id
    account.fake.clock.advance(61)
    assert account.sessions.create(params, KEY).id != first.id


def test_what_was_not_executed_is_not_remembered(account: Account) -> None:
    params = account.params()
    with refused():
        account.sessions.create(params | {"expires_at": account.fake.clock.timestamp() + 60}, KEY)
    for kind, error in (("rate_limit", stripe.RateLimitError), ("conflict", stripe.APIError)):
        account.fake.faults.add("checkout.sessions.create", kind)  # type: ignore[arg-type]
        with pytest.raises(error):
            account.sessions.create(params, KEY)
    assert not replayed(account.sessions.create(params, KEY))


def test_a_500_is_remembered_and_not_retried_by_the_sdk(account: Account) -> None:
    sessions = account.new_client(retries=2).v1.checkout.sessions
    params = account.params()
    account.fake.faults.add("checkout.sessions.create", "server_error")
    for expected in (False, True):
        with pytest.raises(stripe.APIError) as caught:
            sessions.create(params, KEY)
        assert caught.value.http_status == 500
        assert replayed(caught.value) is expected
    assert len(account.fake.requests) == 2
    assert sessions.list().data == []


def test_a_500_is_possible_after_the_execution(account: Account, paid: Any) -> None:
    account.fake.faults.add("refunds.create", "server_error_after")
    with pytest.raises(stripe.APIError):
        account.v1.refunds.create({"payment_intent": paid.id}, KEY)
    assert len(account.v1.refunds.list({"payment_intent": paid.id}).data) == 1


def test_a_refusal_during_execution_is_remembered(account: Account, paid: Any) -> None:
    refund = account.v1.refunds.create({"payment_intent": paid.id})
    answers = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            account.v1.refunds.create({"payment_intent": paid.id}, KEY)
        answers.append((caught.value.code, replayed(caught.value)))
    assert answers == [("charge_already_refunded", False), ("charge_already_refunded", True)]
    assert refund.status == "succeeded"


def test_concurrent_requests_with_one_key_are_executed_once(account: Account) -> None:
    account.fake.latency_seconds = 0.3
    params = account.params()

    def create(_: int) -> str:
        with requests.Session() as http:
            try:
                return str(account.new_client(http=http).v1.checkout.sessions.create(params, KEY).id)
            except stripe.APIError as error:
                return f"{error.http_status} {error.error and error.error.code}"

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(create, range(3)))
    assert answers[:2] == ["409 idempotency_key_in_use"] * 2
    assert answers[2].startswith("cs_test_")
    assert account.sessions.create(params, KEY).id == answers[2]


def test_a_lost_response_is_replayed_to_the_sdks_retry(account: Account) -> None:
    sessions = account.new_client(retries=1).v1.checkout.sessions
    account.fake.faults.add("checkout.sessions.create", "timeout_after")
    made = sessions.create(account.params(), KEY)
    assert replayed(made)
    assert [session.id for session in sessions.list().data] == [made.id]


def test_a_key_that_is_too_long_is_refused(account: Account) -> None:
    with refused():
        account.sessions.create(account.params(), {"idempotency_key": "k" * 256})


def test_a_replay_also_needs_a_valid_api_key(account: Account) -> None:
    params = account.params()
    account.sessions.create(params, KEY)
    account.fake.api_keys = {"sk_test_local_new"}
    with pytest.raises(stripe.AuthenticationError):
        account.sessions.create(params, KEY)
    assert credentials.STRIPE_API_KEY not in account.fake.api_keys
