"""Signing in by authorization code with PKCE, at a provider that the test runs."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Route

from console.__main__ import Arguments, configure, issuer, parse
from console.console_app import create_app
from console.sign_in import SignInFailedError
from local.virtual_time.in_process_http import served
from tests.console.conftest import API, Browser, FakeApi
from tests.console.openid_provider import OpenIdProvider, new_key

ISSUER, HOST = "http://127.0.0.1:8407", "http://localhost:8406"
ARGUMENTS = ["--api", API, "--user-pool", ISSUER, "--client-id", "console-client", "--port", "8406"]


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider(ISSUER, redirects=(f"{HOST}/console/callback",))
    with served(ISSUER, provider.app):
        yield provider


@pytest.fixture
def operator(provider: OpenIdProvider, api: FakeApi) -> Iterator[Browser]:
    """A browser in front of a console that signs people in there."""
    app = create_app(configure(parse(ARGUMENTS)))
    routes = [Route("/payments{path:path}", api.answer, methods=["GET", "POST"])]
    with served(API, Starlette(routes=routes)), served(HOST, app):
        yield Browser(HOST)


def sign_in(browser: Browser, to: str = "/console/payments") -> Browser:
    browser.open("/console/sign-in", params={"to": to})
    browser.open("/console/sign-in/start", params={"to": to})
    return browser


def test_the_token_of_the_provider_is_used_at_the_api(
    provider: OpenIdProvider, api: FakeApi, operator: Browser
) -> None:
    operator.open("/console/payments/RES-1")
    assert 'href="/console/sign-in/start?to=%2Fconsole%2Fpayments%2FRES-1">Sign in</a>' in operator.page
    api.tokens = provider.issued
    sign_in(operator, "/console/payments/RES-1")
    assert "Booking RES-1" in operator.page
    assert all(token not in operator.page for token in provider.issued)


def test_a_token_that_is_not_the_answer_to_this_attempt_is_refused(provider: OpenIdProvider, operator: Browser) -> None:
    for wrong in ({"nonce": "another"}, {"aud": "another"}, {"iss": "https://evil.example"}, {"exp": 1}):
        provider.claims = wrong
        sign_in(operator)
        assert (operator.status, "You are not signed in" in operator.page) == (403, True), wrong


def test_a_token_of_another_key_is_refused(provider: OpenIdProvider, operator: Browser) -> None:
    provider.signs_with = new_key()
    sign_in(operator)
    assert "The sign-in provider&#39;s token is not valid." in operator.page


def test_who_leaves_the_providers_page_is_not_signed_in(provider: OpenIdProvider, operator: Browser) -> None:
    provider.error = "access_denied"
    sign_in(operator)
    assert "The sign-in page was left without signing in." in operator.page


def test_an_answer_that_nobody_asked_for_is_refused(operator: Browser) -> None:
    operator.open("/console/callback?code=code-0&state=made-up")
    assert "This sign-in was not started in this browser" in operator.page
    operator.open("/console/sign-in")
    start = requests.get(
        f"{HOST}/console/sign-in/start", headers={"Cookie": operator.cookie}, allow_redirects=False, timeout=10
    )
    asked = parse_qs(urlsplit(start.headers["Location"]).query)
    assert len(asked["code_challenge"][0]) == 43
    operator.open("/console/callback?code=code-0&state=made-up")
    assert "This answer does not belong to a sign-in that was started here." in operator.page
    # The attempt is used up: its own state does not help any more.
    operator.open(f"/console/callback?code=code-0&state={asked['state'][0]}")
    assert "This sign-in was not started in this browser" in operator.page


def test_a_form_cannot_sign_in_where_a_provider_does(operator: Browser) -> None:
    operator.open("/console/sign-in")
    csrf = requests.get(f"{HOST}/console/payments/x", headers={"Cookie": operator.cookie}, timeout=10).text
    assert "csrf" not in csrf  # the page has a link, and no form
    operator.send("/console/sign-in", {})
    assert operator.status == 403


def test_a_provider_with_another_name_is_refused(provider: OpenIdProvider) -> None:
    provider.issuer = "https://evil.example"
    with pytest.raises(SignInFailedError, match=r"calls itself https://evil\.example"):
        configure(parse(ARGUMENTS))


def test_a_user_pool_is_the_issuer_of_its_region() -> None:
    assert issuer("eu-west-1_Abc") == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc"


def test_the_outputs_of_a_stack_say_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {
        "apiUrl": "https://api.example/v1/",
        "userPoolId": "eu-west-1_Abc",
        "consoleClientId": "client",
        "production": True,
        "consoleUrl": "https://console/#/executions/details/",
        "paymentStateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:booking-prod-payment",
        "refundStateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:booking-prod-refund",
    }
    monkeypatch.setattr("scripts.stack_outputs.read", lambda stack: outputs if stack == "prod" else {})
    arguments = parse(["--stack", "prod"])
    assert isinstance(arguments, Arguments)
    assert (arguments.api, arguments.client_id, arguments.port) == ("https://api.example/v1", "client", 8401)
    assert arguments.stripe_dashboard == "https://dashboard.stripe.com/payments/"
    assert arguments.aws_console is not None
    assert arguments.aws_console["refund"] == (
        "https://console/#/executions/details/arn:aws:states:eu-west-1:1:execution:booking-prod-refund:"
    )


@pytest.mark.parametrize("given", [[], ["--api", API], [*ARGUMENTS, "--time-zone", "Mars/Base"]])
def test_missing_and_wrong_arguments_are_named(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(given)
    assert "python -m console: error: " in capsys.readouterr().err
