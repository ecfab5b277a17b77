"""lambdas.payments_api.operators: an operator grants attempts, and decides about a refund that failed."""

import pytest

from shared.adapters import payment_items
from shared.domain.models import Refund
from tests.harness.builders import NOW, payment, refund
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.payments_api_calls import OPERATOR, OWN_CAPTURE, call, failed
from tests.harness.stored_tables import Stored

ATTEMPTS = "/payments/RES-1/attempts"


def test_an_operator_grants_one_more_attempt(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(failed(3))
    answer = call("POST", ATTEMPTS, claims=OPERATOR)
    assert (answer.status, answer.body["attempts_left"], answer.body["can_retry"]) == (200, 1, True)
    assert stored.get("payments", "PAY-RES-1")["attempts_granted"] == 1
    assert call("POST", ATTEMPTS, claims=OPERATOR).body["attempts_left"] == 2


@pytest.mark.parametrize("status", ["completed", "expired", "refunded"])
def test_no_attempt_is_granted_to_a_payment_that_has_ended(stored: Stored, workflow: FakeAws, status: str) -> None:
    stored.payment(failed(3, status=status))
    assert call("POST", ATTEMPTS, claims=OPERATOR).error == (400, "RESERVATION_NOT_PAYABLE")
    assert not payment_items.grant_attempt("PAY-RES-1", now=NOW)
    assert stored.get("payments", "PAY-RES-1")["attempts_granted"] == 0


def test_no_attempt_is_granted_to_a_payment_that_was_never_started(workflow: FakeAws) -> None:
    assert call("POST", ATTEMPTS, claims=OPERATOR).error == (404, "NOT_FOUND")


@pytest.mark.defect("R-17")
def test_only_a_refund_that_waits_for_an_operator_can_be_resolved(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={"G1": refund()}))
    path = "/payments/RES-1/refunds/G1/resolution"
    assert call("POST", path, {"answer": "retry"}, claims=OPERATOR).error == (409, "NOTHING_TO_RESOLVE")
    wrong = call("POST", path, {"answer": "maybe"}, claims=OPERATOR)
    assert wrong.error == (400, "INVALID_REQUEST")
    assert wrong.body["details"] == {"answer": "Must be 'retry' or 'settled_elsewhere'."}
    assert call("POST", path.replace("G1", "G2"), {"answer": "retry"}, claims=OPERATOR).error == (404, "NOT_FOUND")


def test_a_resolution_records_the_note_and_answers_once_the_refund_has_progressed(
    stored: Stored, workflow: FakeAws
) -> None:
    waiting = refund(status="failed", awaiting="operator", task_token="token-1")
    settled = refund(status="settled_elsewhere", note="Paid by bank transfer.", settled_at=NOW)

    def store(entry: Refund) -> None:
        stored.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={"G1": entry}))

    store(waiting)
    notes: list[object] = []

    def settle() -> None:
        notes.append(stored.get("payments", "PAY-RES-1")["refunds"]["G1"].get("note"))
        store(settled)

    workflow.on_signal = settle
    body = {"answer": "settled_elsewhere", "note": "Paid by bank transfer."}
    answer = call("POST", "/payments/RES-1/refunds/G1/resolution", body, claims=OPERATOR)
    assert (answer.status, answer.body["status"]) == (200, "settled_elsewhere")
    assert notes == ["Paid by bank transfer."]
    assert workflow.signalled == [("token-1", "settled_elsewhere")]


@pytest.mark.defect("R-13")
@pytest.mark.parametrize("deleted_before", [True, False])
def test_a_refund_of_a_deleted_reservation_can_be_resolved(
    stored: Stored, workflow: FakeAws, *, deleted_before: bool
) -> None:
    waiting = refund(status="failed", awaiting="operator", task_token="token-1")
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={"G1": waiting}))
    workflow.on_signal = lambda: stored.delete("reservations", "RES-1")
    if deleted_before:
        stored.delete("reservations", "RES-1")
    answer = call("POST", "/payments/RES-1/refunds/G1/resolution", {"answer": "retry"}, claims=OPERATOR)
    assert (answer.status, answer.body["status"]) == (200, "failed")
    assert workflow.signalled == [("token-1", "retry")]


@pytest.mark.defect("R-08")
def test_a_refund_that_stripe_has_settled_meanwhile_cannot_be_settled_elsewhere(
    stored: Stored, workflow: FakeAws
) -> None:
    """Its execution has not yet ended its wait."""
    workflow.waiting.add("token")
    settled = refund(status="succeeded", awaiting="operator", task_token="token")
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={"G1": settled}))
    path = "/payments/RES-1/refunds/G1/resolution"
    assert call("POST", path, {"answer": "settled_elsewhere"}, claims=OPERATOR).error == (409, "NOTHING_TO_RESOLVE")
    assert workflow.idle
