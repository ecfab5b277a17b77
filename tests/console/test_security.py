"""What the console refuses, with a page that says what to do, and what no page of it contains."""

import pytest

from tests.console.conftest import URL, Browser, FakeApi

FORM = "/console/payments/RES-1/actions/grant-attempt"


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1:80"}, {"Host": ""}])
def test_a_foreign_host_is_refused(browser: Browser, headers: dict[str, str]) -> None:
    browser.open("/console/payments", headers=headers)
    assert browser.status == 403
    assert "Open http://127.0.0.1:8409/console." in browser.page


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8409", "http://127.0.0.1:1"])
def test_a_form_from_another_origin_is_refused(api: FakeApi, browser: Browser, origin: str) -> None:
    browser.sign_in().open(FORM)
    browser.send(FORM, {}, headers={"Origin": origin})
    assert (browser.status, api.called) == (403, [])
    assert "This request came from another website, so nothing was done." in browser.page


def test_a_form_from_the_console_itself_is_accepted(api: FakeApi, browser: Browser) -> None:
    api.answers["POST /RES-1/attempts"] = (200, {})
    browser.sign_in().open(FORM)
    browser.send(FORM, {}, headers={"Origin": URL})
    assert (browser.status, len(api.called)) == (200, 1)


@pytest.mark.parametrize("csrf", ["", "wrong", "é"])
@pytest.mark.parametrize("path", [FORM, "/console/sign-out", "/console/sign-in"])
def test_a_form_without_the_sessions_csrf_token_is_refused(
    api: FakeApi, browser: Browser, path: str, csrf: str
) -> None:
    browser.sign_in()
    browser.send(path, {"csrf": csrf})
    assert (browser.status, api.called) == (403, [])
    assert "Go back, reload the page, and send the form again." in browser.page


def test_a_csrf_token_of_another_session_is_refused(api: FakeApi, browser: Browser) -> None:
    browser.sign_in().open(FORM)
    other = Browser().sign_in()
    other.page = browser.page
    other.send(FORM, {})
    assert (other.status, api.called) == (403, [])


def test_an_expired_session_is_told_to_sign_in_again_and_returns_to_its_page(api: FakeApi, browser: Browser) -> None:
    browser.sign_in()
    api.tokens.clear()
    browser.open("/console/payments?status=completed")
    assert browser.status == 401
    assert "You were signed out" in browser.page
    assert 'href="/console/sign-in?to=/console/payments%3Fstatus%3Dcompleted"' in browser.page


def test_a_guests_token_sees_nothing(api: FakeApi, browser: Browser) -> None:
    api.answers["GET /RES-1"] = (403, {"error_code": "FORBIDDEN", "message": "No.", "recovery": ""})
    browser.sign_in()
    browser.open("/console/payments/RES-1")
    assert browser.status == 403
    assert "ask for yours to be added to the group operators" in browser.page


def test_whoever_is_not_signed_in_gets_the_button_only(browser: Browser) -> None:
    browser.open("/console/payments/RES-1")
    assert browser.status == 200
    assert "<button>Sign in</button>" in browser.page
    assert "CUST-1" not in browser.page


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/", "/console.evil", "/consoles"])
def test_signing_in_leads_to_a_page_of_the_console_only(browser: Browser, to: str) -> None:
    browser.open("/console/sign-in", params={"to": to})
    assert 'name="to" value="/console"' in browser.page


def test_signing_in_changes_the_session_and_signing_out_ends_it(browser: Browser) -> None:
    browser.open("/console/sign-in")
    before = browser.cookie
    browser.send("/console/sign-in", {"to": "/console/payments"})
    after = browser.cookie
    assert before != after
    browser.send("/console/sign-out", {})
    browser.cookie = after
    assert "<button>Sign in</button>" in browser.open("/console/payments")


def test_every_answer_has_a_strict_policy_and_the_cookie_is_not_for_scripts(browser: Browser) -> None:
    for path in ("/console/sign-in", "/console/payments", "/console/nothing"):
        browser.open(path)
        assert browser.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    browser.open("/console/sign-in")
    assert "; HttpOnly; Max-Age=28800; Path=/console; SameSite=lax" in browser.headers["Set-Cookie"]


def test_text_of_others_is_shown_as_text(browser: Browser) -> None:
    browser.sign_in().open("/console/payments/RES-1/executions/RES-1")
    assert "Rate &lt;exceeded&gt;" in browser.page
    assert "operators-token" not in browser.page
