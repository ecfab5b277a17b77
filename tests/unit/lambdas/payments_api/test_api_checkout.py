"""lambdas.payments_api.checkout: "Pay now" and retry lead to an open session, or to the reason why not."""

from typing import Any

import pytest

from tests.harness.fake_aws_clients import FakeAws, client_error
from tests.harness.payments_api_calls import CHECKOUT, ORDER, SECOND_SESSION, awaited, call, check_request, failed
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


@in_table()
def test_a_request_for_a_session(stored: Stored, workflow: FakeAws, case: dict[str, Any]) -> None:
    check_request(stored, workflow, **case)


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
