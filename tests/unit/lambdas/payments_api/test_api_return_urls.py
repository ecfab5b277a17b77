"""lambdas.payments_api.return_urls: Stripe sends the guest to pages of the configured front ends only."""

import pytest

from tests.harness.fake_aws_clients import FakeAws
from tests.harness.payments_api_calls import CHECKOUT, ORDER, call
from tests.harness.tables import in_table


@in_table()
def test_a_page_on_a_configured_origin_is_accepted(workflow: FakeAws, url: str) -> None:
    call("POST", CHECKOUT, ORDER | {"success_url": url, "cancel_url": url})
    [(_, started)] = workflow.started
    assert (started["success_url"], started["cancel_url"]) == (url, url)


@in_table()
@pytest.mark.defect("D-18")
def test_a_page_anywhere_else_is_refused(workflow: FakeAws, url: str) -> None:
    """Otherwise a real page of Stripe could lead to a phishing site."""
    answer = call("POST", CHECKOUT, ORDER | {"success_url": url, "cancel_url": url})
    assert answer.error == (400, "INVALID_REQUEST")
    assert set(answer.body["details"]) == {"success_url", "cancel_url"}
    assert workflow.idle


@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
def test_one_page_anywhere_else_is_enough_to_refuse(workflow: FakeAws, field: str) -> None:
    answer = call("POST", CHECKOUT, ORDER | {field: "https://evil.example"})
    assert answer.body["details"] == {field: "Must be a page on https://stay.example or http://localhost:3000."}
    assert workflow.idle


def test_the_default_pages_are_those_of_the_first_origin(workflow: FakeAws) -> None:
    call("POST", CHECKOUT, ORDER)
    [(_, started)] = workflow.started
    assert started["success_url"] == "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}"
    assert started["cancel_url"] == "https://stay.example/booking/cancel?reservation_id=RES-1"
