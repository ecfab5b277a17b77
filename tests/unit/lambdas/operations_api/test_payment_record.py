"""lambdas.operations_api.payment_record: everything known about one payment."""

from lambdas.operations_api import handler
from shared.domain.models import Dispute, Matter, Replacement
from tests.harness.builders import NOW, TOTAL, attempt, capture, paying, refund
from tests.harness.payments_api_calls import OPERATOR, call
from tests.harness.stored_tables import Stored

REPLACED = Replacement(number=1, step=1, progress="")
DISPUTE = Dispute(status="needs_response", payment_intent="pi_1", amount=TOTAL, opened_at=NOW, due_by=NOW)


def test_the_record_has_attempts_money_refunds_disputes_and_executions(stored: Stored) -> None:
    stored.reservation(status="confirmed")
    cancellation = refund(kind="cancellation", execution="failed-re_1", note="n")
    of = paying(
        status="completed",
        replacements={"payment": REPLACED, "PAY-RES-1-cancellation": REPLACED},
        attempts={"1": attempt(status="paid", parameters='{"customer_email": "ada@guests.example"}')},
        captures={"pi_1": capture(role="booking")},
        refunds={"PAY-RES-1-cancellation": cancellation, "G1": refund()},
        disputes={"du_1": DISPUTE},
        task_token="secret-token",
    )
    stored.payment(of)
    answer = call("GET", "/payments/PAY-RES-1", claims=OPERATOR, function=handler)
    body = answer.body
    assert answer.status == 200
    assert (body["reservation_status"], body["check_in"], body["end_reason"]) == ("confirmed", "2026-12-20", "paid")
    assert body["attempts"][0]["stripe_checkout_session_id"] == "cs_1"
    assert body["captures"] == [
        {
            "payment_intent": "pi_1",
            "charge": "ch_1",
            "amount": TOTAL,
            "currency": "EUR",
            "refundable": TOTAL,
            "role": "booking",
            "captured_at": "2026-11-24T14:59:00.000Z",
        }
    ]
    assert (body["refunds"][0]["note"], body["disputes"][0]["dispute_id"]) == ("n", "du_1")
    assert body["executions"] == [
        {"name": "RES-1", "workflow": "payment"},
        {"name": "PAY-RES-1-r1", "workflow": "payment"},
        {"name": "PAY-RES-1-cancellation", "workflow": "refund"},
        {"name": "PAY-RES-1-cancellation-r1", "workflow": "refund"},
        {"name": "failed-re_1", "workflow": "refund"},
        {"name": "G1", "workflow": "refund"},
    ]
    assert not [secret for secret in ("secret-token", "ada@guests.example") if secret in str(body)]


def test_a_booking_whose_payment_was_never_started_has_no_record(stored: Stored) -> None:
    stored.reservation()
    assert call("GET", "/payments/RES-1", claims=OPERATOR, function=handler).error == (404, "NOT_FOUND")
    assert call("GET", "/payments/RES-2", claims=OPERATOR, function=handler).error == (404, "NOT_FOUND")
    assert call("GET", "/payments/a b", claims=OPERATOR, function=handler).error == (400, "INVALID_REQUEST")


def test_a_payment_outlasts_its_reservation(stored: Stored) -> None:
    """What operators are asked to see to may be the money of a reservation that the platform has deleted."""
    matter = Matter(kind="cancelled_money_kept", since=NOW, amount=TOTAL)
    stored.payment(paying(status="completed", customer_id="CUST-9", attention={"cancelled_money_kept": matter}))
    body = call("GET", "/payments/RES-1", claims=OPERATOR, function=handler).body
    assert (body["reservation_status"], body["customer_id"], body["end_reason"]) == ("deleted", "CUST-9", "paid")
    path = "/payments/RES-1/attention/cancelled_money_kept/close"
    closed = call("POST", path, {"note": "refunded by hand"}, claims=OPERATOR, function=handler)
    assert (closed.status, closed.body["attention"]) == (200, [])
