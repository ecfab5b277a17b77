"""Checkout Sessions."""

from typing import Any

import pytest

from tests.harness.tables import in_table
from tests.local.fake_stripe.conftest import Account, refused


def line_items(**price_data: Any) -> list[Any]:
    price = {"currency": "eur", "unit_amount": 30_000, "product_data": {"name": "Stay"}} | price_data
    return [{"price_data": {name: value for name, value in price.items() if value is not None}, "quantity": 1}]


def test_a_new_session_is_open_and_unpaid_without_payment_intent(account: Account, session: Any) -> None:
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.id.startswith("cs_test_")
    assert session.url == f"{account.fake.base_url}/pay/{session.id}"
    assert (session.amount_total, session.currency) == (30_000, "eur")
    assert session.metadata.to_dict() == {"payment_id": "PAY-r1", "reservation_id": "r1"}
    assert session.client_reference_id == "r1"
    assert session.livemode is False
    assert "line_items" not in session


def test_line_items_are_included_on_request(account: Account, session: Any) -> None:
    asked = account.sessions.retrieve(session.id, {"expand": ["line_items"]})
    assert asked.line_items is not None
    assert [item.amount_total for item in asked.line_items.data] == [30_000]


@pytest.mark.parametrize(("seconds", "word"), [(1790, "at least 30 minutes"), (86_410, "less than 24 hours")])
def test_expires_at_is_limited_by_stripes_clock(account: Account, seconds: int, word: str) -> None:
    with refused(http_status=400, param="expires_at", code=None) as caught:
        account.create_session(expires_at=account.fake.clock.timestamp() + seconds)
    assert word in str(caught.value)


def test_half_an_hour_is_refused_under_clock_skew(account: Account) -> None:
    expires_at = account.fake.clock.timestamp() + 1801
    account.fake.clock.advance(5)
    with refused(http_status=400, param="expires_at"):
        account.create_session(expires_at=expires_at)


@in_table(changes={}, price=None)
def test_wrong_parameters_are_refused(account: Account, changes: Any, price: Any, param: Any, code: Any) -> None:
    items = {} if price is None else {"line_items": line_items(**price)}
    with refused(http_status=400, param=param, code=code):
        account.create_session(**changes, **items)
    assert account.sessions.list().data == []


def test_metadata_has_at_most_50_keys(account: Account) -> None:
    with refused(http_status=400, param="metadata", code=None):
        account.create_session(metadata={f"k{number}": "v" for number in range(51)})


@pytest.mark.parametrize("amount", [50, 99_999_999])
def test_the_limits_of_the_amount_are_allowed(account: Account, amount: int) -> None:
    made = account.create_session(line_items=line_items(unit_amount=amount))
    assert made.amount_total == amount


def test_an_open_session_can_be_expired_once(account: Account, session: Any) -> None:
    expired = account.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    with refused(http_status=400, code=None):
        account.sessions.expire(session.id)
    assert account.delivered() == ["checkout.session.expired"]


@pytest.mark.usefixtures("paid")
def test_a_complete_session_cannot_be_expired(account: Account, session: Any) -> None:
    with refused(http_status=400, code=None):
        account.sessions.expire(session.id)
    assert account.sessions.retrieve(session.id).status == "complete"


def test_a_session_expires_in_time(account: Account, session: Any) -> None:
    account.fake.clock.advance(2099)
    assert account.sessions.retrieve(session.id).status == "open"
    account.fake.clock.advance(2)
    assert account.sessions.retrieve(session.id).status == "expired"
    page = account.pay(session)
    assert page.status_code == 410
    assert "expired" in page.text
    assert account.delivered() == ["checkout.session.expired"]


def test_a_session_is_never_seen_as_open_after_its_expiry(account: Account, session: Any) -> None:
    with account.fake.lock:
        # Like the passing of real time, this does not wake the timer's thread.
        account.fake.clock._offset += 2200
    assert account.sessions.retrieve(session.id).status == "expired"


def test_an_unknown_session_is_not_found(account: Account) -> None:
    with refused(http_status=404, code="resource_missing"):
        account.sessions.retrieve("cs_test_none")


def test_sessions_are_listed_by_status_and_payment_intent(account: Account, session: Any, paid: Any) -> None:
    other = account.create_session()
    assert [found.id for found in account.sessions.list().data] == [other.id, session.id]
    assert [found.id for found in account.sessions.list({"status": "open"}).data] == [other.id]
    assert [found.id for found in account.sessions.list({"payment_intent": paid.id}).data] == [session.id]
    for unknown in ("metadata", "client_reference_id"):
        with refused(code="parameter_unknown"):
            account.sessions.list({unknown: "r1"})  # type: ignore[arg-type]
