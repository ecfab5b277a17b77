"""lambdas.payments_api.return_urls: Stripe sends the guest to pages of the configured front ends only."""

import pytest

from tests.harness.fake_aws_clients import FakeAws
from tests.harness.payments_api_calls import CHECKOUT, ORDER, call

OURS = [
    "https://stay.example",
    "https://stay.example/",
    "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}",
    "https://stay.example/a?b=https://evil.example#c",
    "https://stay.example?@evil.example",
    "https://stay.example#@evil.example",
    "HTTPS://STAY.EXAMPLE/a",
    "http://localhost:3000/a",
]
NOT_OURS = [
    "http://stay.example/a",
    "https://evil.example/a",
    "https://evil.example/https://stay.example",
    "https://evil.example?https://stay.example",
    "https://stay.example.evil.example",
    "https://evilstay.example",
    "https://www.stay.example",
    "https://stay.exampl",
    "https://stay.example@evil.example",
    "https://stay.example:x@evil.example",
    "https://guest@stay.example",
    "https://@stay.example",
    "https://:@stay.example",
    "https://stay.example\\@evil.example",
    "https://stay.example\\.evil.example",
    "https:\\\\stay.example",
    "https://evil.example\\stay.example",
    "https://stay.example:8443",
    "https://stay.example:443",
    "https://stay.example:0",
    "https://stay.example:99999",
    "https://stay.example:port",
    "https://stay.example./",
    "https://stay.example%2eevil.example",
    "https://stay.example%00.evil.example",
    "https://stay%2eexample",
    "https://\u0455tay.example",
    "https://stay。example",
    "https://stay.example/é",
    "https://xn--tay-5ed.example",
    "//stay.example/a",
    "/booking/success",
    "stay.example",
    "https:stay.example",
    "https:/stay.example",
    "https:///stay.example",
    "https://",
    "javascript:alert(1)",
    "javascript://stay.example/%0aalert(1)",
    "data:text/html,stay.example",
    "ftp://stay.example",
    "file://stay.example",
    "http://localhost",
    "http://localhost:3001",
    "https://localhost:3000",
    "http://127.0.0.1:3000",
    "http://localhost:3000@evil.example",
    "https://[::1]",
    "https://[stay.example]",
    "https://[stay.example",
    " https://stay.example",
    "https://stay.example/a b",
    "https://stay.example\n",
    "https://stay.example\t.evil.example",
    "ht\ntps://stay.example",
    "https://stay.example/\x00",
    "https://stay.example/\u2028",
    "https://stay.example/\x7f",
]


@pytest.mark.parametrize("url", OURS)
def test_a_page_on_a_configured_origin_is_accepted(workflow: FakeAws, url: str) -> None:
    call("POST", CHECKOUT, ORDER | {"success_url": url, "cancel_url": url})
    [(_, started)] = workflow.started
    assert (started["success_url"], started["cancel_url"]) == (url, url)


@pytest.mark.parametrize("url", NOT_OURS)
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
