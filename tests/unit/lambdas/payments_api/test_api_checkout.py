"""lambdas.payments_api.checkout: "Pay now" and retry lead to an open session, or to the reason why not."""

from typing import Any

import pytest

from tests.harness.builders import closed, opening
from tests.harness.fake_aws_clients import FakeAws, client_error
from tests.harness.payments_api_calls import CHECKOUT, ORDER, SECOND_SESSION, awaited, call, failed
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table


def test_pay_now_starts_the_workflow_and_answers_with_its_session(stored: Stored, workflow: FakeAws) -> None:
    workflow.on_start = lambda: stored.payment(awaited())
    answer = call("POST", CHECKOUT, ORDER)
    assert (answer.status, answer.body) == (
        201,
        {
            "payment_id": "PAY-RES-1",
            "reservation_id": "RES-1",
            "checkout_session_id": "cs_1",
            "checkout_url": "https://checkout.stripe.com/c/pay/cs_1",
            "expires_at": "2026-11-24T15:20:00.000Z",
            "amount": 112_500,
            "currency": "EUR",
            "attempt_number": 1,
            "attempts_left": 2,
            "hold_expires_at": "2026-11-25T13:00:00.000Z",
        },
    )
    [(name, started)] = workflow.started
    assert (name, started["payment_id"], started["reservation_id"]) == ("RES-1", "PAY-RES-1", "RES-1")
    assert started["hold_expires_at"] == "2026-11-25T13:00:00.000Z"
    assert workflow.signalled == []


def test_pay_now_again_returns_the_open_session(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(awaited())
    answer = call("POST", CHECKOUT, ORDER)
    assert (answer.status, answer.body["checkout_session_id"]) == (200, "cs_1")
    assert workflow.idle


def test_pay_now_after_a_failed_attempt_opens_the_next_by_either_route(stored: Stored, workflow: FakeAws) -> None:
    workflow.on_signal = lambda: stored.payment(awaited(**SECOND_SESSION))
    for path, body in ((CHECKOUT, ORDER), ("/payments/RES-1/retry", None)):
        stored.payment(failed())
        workflow.waiting.add("token-2")
        answer = call("POST", path, body)
        assert (answer.status, answer.body["checkout_session_id"]) == (201, "cs_2")
        assert (answer.body["attempt_number"], answer.body["attempts_left"]) == (2, 1)
    assert workflow.signalled == [("token-2", "retry"), ("token-2", "retry")]
    assert workflow.started == []


def test_pay_now_that_is_not_ready_in_time_points_to_the_status(workflow: FakeAws) -> None:
    answer = call("POST", CHECKOUT, ORDER)
    assert answer.status == 202
    assert answer.headers["Location"] == "/api/payments/RES-1/status"
    assert answer.headers["Retry-After"] == "2"
    assert (answer.body["status"], answer.body["payment_id"]) == ("pending", "PAY-RES-1")
    assert "checkout_url" not in answer.body


def test_one_call_starts_or_signals_once_however_often_it_reads(stored: Stored, workflow: FakeAws) -> None:
    call("POST", CHECKOUT, ORDER)
    assert len(workflow.started) == 1
    stored.payment(failed())
    call("POST", "/payments/RES-1/retry")
    assert workflow.signalled == [("token-2", "retry")]


def test_a_token_that_another_call_used_is_not_used_again(
    stored: Stored, workflow: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two clicks at once, the slower one finds the other's session."""
    stored.payment(failed())
    signals: list[tuple[str, str]] = []

    def overtaken(**signal: str) -> Any:
        stored.payment(awaited(**SECOND_SESSION))
        signals.append((signal["taskToken"], signal["output"]))
        raise client_error("TaskDoesNotExist")

    monkeypatch.setattr(workflow, "send_task_success", overtaken)
    assert call("POST", "/payments/RES-1/retry").body["checkout_session_id"] == "cs_2"
    assert signals == [("token-2", '{"signal": "retry"}')]


@pytest.mark.defect("R-17")
def test_retrying_a_payment_that_was_never_started_starts_it(stored: Stored, workflow: FakeAws) -> None:
    assert call("GET", "/payments/RES-1/status").body["can_retry"] is True
    workflow.on_start = lambda: stored.payment(awaited())
    answer = call("POST", "/payments/RES-1/retry")
    assert (answer.status, answer.body["checkout_session_id"]) == (201, "cs_1")
    [(name, started)] = workflow.started
    assert (name, started["success_url"].partition("?")[0]) == ("RES-1", "https://stay.example/booking/success")


@pytest.mark.defect("D-24")
def test_an_attempt_that_fails_at_stripe_is_a_503(stored: Stored, workflow: FakeAws) -> None:
    """The hold is kept, and the guest may try again."""
    stored.payment(failed())
    workflow.on_signal = lambda: stored.payment(failed(2, token_sequence=3, task_token="token-3"))
    answer = call("POST", "/payments/RES-1/retry")
    assert answer.error == (503, "STRIPE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "10"
    assert workflow.signalled == [("token-2", "retry")]


@pytest.mark.defect("R-05")
def test_an_attempt_that_stripe_refuses_for_good_is_a_422(stored: Stored, workflow: FakeAws) -> None:
    """Trying again does not help the guest."""
    refused = closed(close_reason="refused", failure_code="refused")
    workflow.on_start = lambda: stored.payment(failed(1, attempts={"1": refused}))
    answer = call("POST", CHECKOUT, ORDER)
    assert answer.error == (422, "PAYMENT_REFUSED")
    assert "Retry-After" not in answer.headers


def test_a_first_attempt_that_fails_at_stripe_is_a_503(stored: Stored, workflow: FakeAws) -> None:
    workflow.on_start = lambda: stored.payment(failed(1, attempts={"1": opening()}))
    assert call("POST", CHECKOUT, ORDER).error == (503, "STRIPE_UNAVAILABLE")
    assert len(workflow.started) == 1


@in_table()
def test_a_session_that_may_not_be_offered_is_a_202(stored: Stored, workflow: FakeAws, changes: dict[str, Any]) -> None:
    stored.payment(awaited(**changes))
    assert call("POST", CHECKOUT, ORDER).status == 202
    assert workflow.idle


@pytest.mark.defect("D-06")
def test_a_session_at_the_old_price_is_not_offered_and_the_workflow_checks_it(
    stored: Stored, workflow: FakeAws
) -> None:
    stored.payment(awaited())
    stored.reservation(total_amount=90_000)
    assert "checkout_url" not in call("POST", CHECKOUT, ORDER).body
    assert workflow.signalled == [("token-1", "refresh")]
