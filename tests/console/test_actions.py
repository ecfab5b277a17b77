"""Only what the API would accept is offered, and each confirmation names the amount."""

from typing import Any

import pytest

from console.actions import offered
from tests.console.conftest import Browser, FakeApi
from tests.console.samples import RECORD, REFUNDED

type Json = dict[str, Any]

PAID = {**REFUNDED, "reservation_status": "confirmed", "refunds": [], "attention": []}
QUOTE = {"amount": 56250, "original_amount": 112500, "terms": "If you cancel: half."}
FRAUD_WARNING = {"kind": "fraud_warning", "closable": True}
DISPUTE = {"payment_intent": "pi_2", "status": "needs_response"}


@pytest.mark.parametrize(
    ("record", "quote", "names"),
    [
        (RECORD, None, ["grant-attempt", "cancel-unpaid"]),
        ({**RECORD, "cancel_requested_by": "guest"}, None, []),
        ({**RECORD, "reservation_status": "cancelled"}, None, []),
        ({**RECORD, "status": "expired"}, None, []),
        (PAID, QUOTE, ["cancel-stay", "cancel-stay-amount", "goodwill"]),
        ({**PAID, "disputes": [DISPUTE]}, None, []),
        ({**PAID, "disputes": [{**DISPUTE, "status": "warning_needs_response"}]}, QUOTE, None),
        (
            {**PAID, "attention": [FRAUD_WARNING]},
            QUOTE,
            ["refund-fraud", "cancel-stay", "cancel-stay-amount", "goodwill", "close-matter"],
        ),
        ({**PAID, "attention": [FRAUD_WARNING], "disputes": [DISPUTE]}, None, ["close-matter"]),
        (REFUNDED, None, ["retry-refund", "settle-refund", "goodwill", "close-matter"]),
    ],
)
def test_only_what_the_api_would_accept_is_offered(record: Json, quote: Json | None, names: list[str] | None) -> None:
    everything = ["cancel-stay", "cancel-stay-amount", "goodwill"]
    assert [action.name for action in offered(record, quote)] == (everything if names is None else names)


@pytest.mark.parametrize(
    ("reservation", "path", "fields", "call"),
    [
        ("RES-1", "grant-attempt", {}, ("POST /RES-1/attempts", {})),
        ("RES-1", "cancel-unpaid", {}, ("POST /RES-1/cancel", {})),
        (
            "RES-2",
            "retry-refund",
            {"refund_id": "PAY-RES-2-cancellation", "note": " new card "},
            ("POST /RES-2/refunds/PAY-RES-2-cancellation/resolution", {"answer": "retry", "note": "new card"}),
        ),
        (
            "RES-2",
            "settle-refund",
            {"refund_id": "PAY-RES-2-cancellation", "note": "bank transfer"},
            (
                "POST /RES-2/refunds/PAY-RES-2-cancellation/resolution",
                {"answer": "settled_elsewhere", "note": "bank transfer"},
            ),
        ),
        (
            "RES-2",
            "goodwill",
            {"amount": "50.00", "note": "noise", "key": "k"},
            ("POST /RES-2/refund", {"kind": "goodwill", "amount": 5000, "reason": "noise"}),
        ),
        (
            "RES-2",
            "close-matter",
            {"kind": "unmatched_charge", "subject": "ch_9", "note": "another shop"},
            ("POST /RES-2/attention/unmatched_charge/close", {"note": "another shop", "subject": "ch_9"}),
        ),
    ],
)
def test_a_confirmed_action_is_one_call_of_the_api(
    api: FakeApi, browser: Browser, *, reservation: str, path: str, fields: Json, call: tuple[str, Json]
) -> None:
    api.answers[call[0]] = (200, {})
    browser.sign_in()
    browser.open(f"/console/payments/{reservation}/actions/{path}", params=fields)
    assert browser.status == 200
    browser.send(f"/console/payments/{reservation}/actions/{path}", fields)
    assert api.called == [call]
    assert 'role="status"' in browser.page


def test_a_confirmation_names_the_amount_that_was_entered(browser: Browser) -> None:
    browser.sign_in()
    browser.open("/console/payments/RES-2/actions/goodwill")
    assert "at most EUR 562.50" in browser.page
    browser.open("/console/payments/RES-2/actions/goodwill?amount=600")
    assert "At most EUR 562.50 can be refunded." in browser.page
    browser.open("/console/payments/RES-2/actions/goodwill?amount=50")
    assert "<h1>Refund EUR 50.00 out of goodwill</h1>" in browser.page
    assert "EUR 50.00 go back to the guest. The stay is not cancelled." in browser.page


def test_what_the_api_refuses_after_all_is_said_beside_the_form(api: FakeApi, browser: Browser) -> None:
    refusal = {"error_code": "REFUND_IN_PROGRESS", "message": "A refund is under way.", "recovery": "Wait for it."}
    api.answers["POST /RES-1/attempts"] = (409, refusal)
    browser.sign_in()
    browser.open("/console/payments/RES-1/actions/grant-attempt")
    browser.send("/console/payments/RES-1/actions/grant-attempt", {})
    assert (browser.status, "A refund is under way. Wait for it." in browser.page) == (409, True)


def test_an_action_that_is_not_offered_any_more_is_not_done(api: FakeApi, browser: Browser) -> None:
    browser.sign_in()
    browser.open("/console/payments/RES-1")
    browser.send("/console/payments/RES-1/actions/goodwill", {"amount": "50", "key": "k"})
    assert (browser.status, api.called) == (409, [])
    assert "No longer possible" in browser.page


def test_a_note_that_is_required_must_be_there(api: FakeApi, browser: Browser) -> None:
    browser.sign_in()
    browser.open("/console/payments/RES-2/actions/settle-refund?refund_id=PAY-RES-2-cancellation")
    browser.send("/console/payments/RES-2/actions/settle-refund", {"refund_id": "PAY-RES-2-cancellation", "note": " "})
    assert (browser.status, api.called) == (400, [])
