"""The HTTP side: keys, addresses, parameters, expansions, lists, faults."""

from typing import Any

import pytest
import stripe

from local import credentials
from tests.harness.tables import in_table
from tests.local.fake_stripe.conftest import Account, refused

AUTHORIZATION = {"Authorization": f"Bearer {credentials.STRIPE_API_KEY}"}


def test_a_wrong_or_missing_key_gives_stripes_401(account: Account) -> None:
    with pytest.raises(stripe.AuthenticationError) as caught:
        account.new_client(key="sk_test_wrong_1234").v1.checkout.sessions.list()
    assert caught.value.http_status == 401
    assert "sk_test_********1234" in str(caught.value)
    assert caught.value.request_id

    answer = account.http.get(f"{account.fake.base_url}/v1/charges", timeout=5)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_both_keys_are_valid_while_one_is_being_rolled(account: Account) -> None:
    account.fake.api_keys.add("sk_test_local_new")
    for key in (credentials.STRIPE_API_KEY, "sk_test_local_new"):
        account.new_client(key=key).v1.charges.list()
    account.fake.api_keys.remove(credentials.STRIPE_API_KEY)
    with pytest.raises(stripe.AuthenticationError):
        account.new_client().v1.charges.list()


def test_a_restricted_key_may_read_and_nothing_else(account: Account) -> None:
    restricted = account.new_client(key=credentials.REPORTING_KEY).v1
    assert restricted.balance_transactions.list().data == []
    with pytest.raises(stripe.PermissionError):
        restricted.checkout.sessions.create(account.params())


def test_basic_authentication_is_accepted(account: Account) -> None:
    url = f"{account.fake.base_url}/v1/charges"
    assert account.http.get(url, auth=(credentials.STRIPE_API_KEY, ""), timeout=5).status_code == 200


def test_every_response_has_the_request_id_of_the_log(account: Account, session: Any) -> None:
    logged = account.fake.requests[-1]
    assert session.last_response.request_id == logged.id
    assert (logged.method, logged.path, logged.operation) == (
        "POST",
        "/v1/checkout/sessions",
        "checkout.sessions.create",
    )
    assert (logged.status, logged.replayed, logged.fault) == (200, False, None)
    assert logged.params is not None
    assert logged.params["metadata"]["payment_id"] == "PAY-r1"
    assert logged.as_json()["idempotency_key"] == logged.idempotency_key


def test_unknown_addresses_methods_and_versions_are_refused(account: Account) -> None:
    unknown = account.http.get(f"{account.fake.base_url}/v1/customers", headers=AUTHORIZATION, timeout=5)
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "invalid_request_error")
    assert (
        account.http.delete(f"{account.fake.base_url}/v1/charges", headers=AUTHORIZATION, timeout=5).status_code == 404
    )
    other = {"Stripe-Version": "2020-08-27"}
    old = account.http.get(f"{account.fake.base_url}/v1/charges", headers=AUTHORIZATION | other, timeout=5)
    assert old.status_code == 400


@pytest.mark.parametrize("body", ["a[b=1", "a]=1", "a=1&a[b]=2", "%ff=1"])
def test_malformed_bodies_are_refused(account: Account, body: str) -> None:
    answer = account.http.post(f"{account.fake.base_url}/v1/refunds", body, headers=AUTHORIZATION, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_unknown_query_parameters_are_refused(account: Account, paid: Any) -> None:
    with refused(code="parameter_unknown"):
        account.v1.payment_intents.retrieve(paid.id, {"verbose": True})  # type: ignore[arg-type]


@in_table()
@pytest.mark.usefixtures("paid")
def test_only_ids_can_be_expanded(account: Account, session: Any, path: str, *, allowed: bool) -> None:
    def retrieve() -> Any:
        return account.sessions.retrieve(session.id, {"expand": [path]})

    if allowed:
        retrieve()
        return
    with refused(param="expand"):
        retrieve()


def test_lists_expand_ids_below_data(account: Account, session: Any, paid: Any) -> None:
    (found,) = account.sessions.list({"expand": ["data.payment_intent.latest_charge"]}).data
    assert found.id == session.id
    assert isinstance(found.payment_intent, stripe.PaymentIntent)
    assert isinstance(found.payment_intent.latest_charge, stripe.Charge)
    assert found.payment_intent.latest_charge.id == paid.latest_charge


def test_nothing_is_executed_when_an_expansion_is_refused(account: Account, paid: Any) -> None:
    with refused():
        account.v1.refunds.create({"payment_intent": paid.id, "expand": ["guest"]})
    assert account.v1.refunds.list().data == []


def test_lists_have_pages_and_limits(account: Account) -> None:
    sessions = account.sessions
    made = [sessions.create(account.params()).id for _ in range(5)][::-1]
    page = sessions.list({"limit": 2})
    assert ([session.id for session in page.data], page.has_more) == (made[:2], True)
    assert [session.id for session in page.auto_paging_iter()] == made
    before = sessions.list({"limit": 2, "ending_before": made[3]})
    assert ([session.id for session in before.data], before.has_more) == (made[1:3], True)
    for limit in (0, 101):
        with refused():
            sessions.list({"limit": limit})


def test_lists_filter_by_the_time_of_the_fakes_clock(account: Account) -> None:
    sessions = account.sessions
    first = sessions.create(account.params())
    account.fake.clock.advance(100)
    second = sessions.create(account.params())
    assert 99 <= second.created - first.created <= 102
    assert [found.id for found in sessions.list({"created": {"gt": first.created}}).data] == [second.id]
    assert [found.id for found in sessions.list({"created": {"lte": first.created}}).data] == [first.id]
    assert [found.id for found in sessions.list({"created": second.created}).data] == [second.id]


@pytest.mark.parametrize(
    ("kind", "error", "executed"),
    [
        ("rate_limit", stripe.RateLimitError, False),
        ("conflict", stripe.APIError, False),
        ("server_error", stripe.APIError, False),
        ("server_error_after", stripe.APIError, True),
        ("timeout_before", stripe.APIConnectionError, False),
        ("timeout_after", stripe.APIConnectionError, True),
        ("reset", stripe.APIConnectionError, False),
    ],
)
def test_injected_faults(account: Account, kind: Any, error: type[Exception], *, executed: bool) -> None:
    account.fake.faults.add("checkout.sessions.create", kind, times=2)
    account.sessions.list()
    for _ in range(2):
        with pytest.raises(error):
            account.create_session()
    assert len(account.sessions.list().data) == (2 if executed else 0)
    assert account.create_session().status == "open"
    assert [request.fault for request in account.fake.requests if request.fault] == [kind, kind]


def test_a_timeout_can_be_a_real_one(account: Account) -> None:
    account.fake.faults.silence_seconds = 3
    account.fake.faults.add("*", "timeout_before")
    with pytest.raises(stripe.APIConnectionError, match=r"(?i)timed out"):
        account.new_client(timeout=0.2).v1.charges.list()


def test_unknown_faults_are_refused(account: Account) -> None:
    with pytest.raises(ValueError, match="unknown fault slow"):
        account.fake.faults.add("refunds.create", "slow")  # type: ignore[arg-type]
