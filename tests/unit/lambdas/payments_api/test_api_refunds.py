"""lambdas.payments_api.refunds: what is refused before a workflow starts, and how a new execution is awaited."""

from typing import Any

import pytest

from lambdas import reserve_refund
from shared.adapters import step_functions
from shared.contracts.states import RefundExecutionInput
from shared.domain.models import Dispute, Payment, Refund
from shared.domain.refund_policy import RefundTier
from tests.harness.builders import NOW, TOTAL, capture, payment, refund
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.lambda_environment import CONTEXT
from tests.harness.payments_api_calls import OPERATOR, OWN_CAPTURE, awaited, call
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table

REFUND = "/payments/RES-1/refund"
OPEN_DISPUTE = Dispute(status="needs_response", payment_intent="pi_1", amount=TOTAL, opened_at=NOW)


@pytest.fixture
def paid(stored: Stored, workflow: FakeAws) -> Stored:
    stored.payment(payment(status="completed", captures=OWN_CAPTURE))
    return stored


@pytest.mark.parametrize("of", [None, awaited(), awaited(status="expired")], ids=["none", "unpaid", "released"])
@pytest.mark.defect("D-14")
def test_a_booking_that_was_never_paid_is_not_refunded(stored: Stored, workflow: FakeAws, of: Payment | None) -> None:
    if of is not None:
        stored.payment(of)
    answer = call("POST", REFUND)
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    assert answer.body["message"] == "This booking has no completed payment to refund."


@pytest.mark.parametrize("body", [{"amount": 500}, {"kind": "goodwill"}, {"amount": 500, "kind": "cancellation"}])
def test_a_guest_gets_refunds_by_policy_only(paid: Stored, body: dict[str, Any]) -> None:
    assert call("POST", REFUND, body).error == (403, "FORBIDDEN")


@pytest.mark.parametrize("own", [{}, {"reason": "ill"}])
def test_a_guest_does_not_read_what_an_operator_wrote_about_a_refund_that_was_not_made(
    paid: Stored, workflow: FakeAws, own: dict[str, str]
) -> None:
    """Their requests have the same refund id; the operator's execution could not be started."""
    paid.reservation(status="confirmed")
    paid.change("PAY-RES-1", customer_id="guest-1")
    workflow.throttled = {"PAY-RES-1-cancellation"}
    private = {"amount": 500, "reason": "We think that the card is stolen."}
    assert call("POST", REFUND, private, claims=OPERATOR).status == 500
    workflow.throttled = set()
    workflow.on_start = lambda: reserve_refund.handler(workflow.started[0][1] | {"execution": "x"}, CONTEXT)
    assert call("POST", REFUND, own).status == 202
    [entry] = call("GET", "/payments/RES-1/status").body["refunds"]
    assert entry.get("reason") == own.get("reason")


@in_table()
@pytest.mark.defect("D-35")
def test_a_refund_is_whole_cents_of_at_least_one(paid: Stored, body: dict[str, Any], details: dict[str, str]) -> None:
    answer = call("POST", REFUND, body, claims=OPERATOR)
    assert answer.error == (400, "INVALID_REQUEST")
    assert answer.body["details"] == details


def test_a_goodwill_refund_needs_a_key_against_double_clicks(paid: Stored) -> None:
    answer = call("POST", REFUND, {"kind": "goodwill", "amount": 1}, claims=OPERATOR)
    assert answer.error == (400, "INVALID_REQUEST")
    assert answer.body["details"] == {"Idempotency-Key": "This header is required for a goodwill refund."}


@pytest.mark.defect("R-13")
@pytest.mark.parametrize(
    ("body", "amount", "to_guests"), [({}, TOTAL, (404, "NOT_FOUND")), ({"amount": 500}, 500, (403, "FORBIDDEN"))]
)
def test_an_operator_refunds_a_stay_that_the_platform_has_deleted(
    paid: Stored, workflow: FakeAws, body: dict[str, Any], amount: int, to_guests: tuple[int, str]
) -> None:
    """By the policy and the check-in that were stored when it was paid, or as the operator says."""
    policy = [RefundTier(days=20, percent=100)]
    stay = {"customer_id": "guest-1", "check_in": "2026-12-20", "check_out": "2026-12-22"}
    paid.payment(payment(status="completed", captures=OWN_CAPTURE, refund_policy=policy, **stay))
    paid.delete("reservations", "RES-1")
    assert call("POST", REFUND, body).error == to_guests
    assert call("POST", REFUND, body, claims=OPERATOR).error == (409, "REFUND_IN_PROGRESS")
    [(name, order)] = workflow.started
    assert (name, order["amount"]) == ("PAY-RES-1-cancellation", amount)


def test_it_is_too_late_for_a_refund_by_policy(paid: Stored) -> None:
    paid.reservation(status="confirmed", check_in="2026-11-30", check_out="2026-12-02")
    answer = call("POST", REFUND)
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    assert answer.body["details"] == {"check_in_date": "2026-11-30", "days_until_checkin": 6, "policy": "no_refund"}


@pytest.mark.defect("D-13")
def test_no_more_is_refunded_than_is_left(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(payment(status="completed", captures={"pi_1": capture(role="booking", refundable=499)}))
    answer = call("POST", REFUND, {"amount": 500}, claims=OPERATOR)
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    assert answer.body["details"] == {"refundable_amount": 499}


@pytest.mark.parametrize(
    ("pi", "error"), [("pi_1", (409, "REFUND_IN_PROGRESS")), ("pi_2", (400, "REFUND_NOT_ALLOWED"))]
)
def test_what_another_refund_of_the_same_money_holds_may_come_back(
    stored: Stored, workflow: FakeAws, pi: str, error: tuple[int, str]
) -> None:
    captures = {"pi_1": capture(role="booking", refundable=499), "pi_2": capture(role="unapplied")}
    stored.payment(payment(status="completed", captures=captures, refunds={"G1": refund(payment_intent=pi)}))
    assert call("POST", REFUND, {"amount": 500}, claims=OPERATOR).error == error


CANCELLED = "PAY-RES-1-cancellation"


@in_table()
@pytest.mark.parametrize("status", ["pending", "succeeded", "failed"])
@pytest.mark.defect("R-11")
def test_a_refund_that_exists_is_not_taken_for_one_of_another_amount(
    paid: Stored, kind: str, refund_id: str, words: str, status: str
) -> None:
    entry = refund(kind=kind, amount=500, status=status, policy="full_refund")
    paid.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={refund_id: entry}))
    key = {"Idempotency-Key": "k"}
    answer = call("POST", REFUND, {"kind": kind, "amount": 10_000}, claims=OPERATOR, headers=key)
    assert answer.error == (409, "REFUND_EXISTS")
    assert answer.body["message"] == words
    assert answer.body["details"] == {"refund_id": refund_id, "amount": 500}
    same = call("POST", REFUND, {"kind": kind, "amount": 500}, claims=OPERATOR, headers=key)
    assert (same.status, same.body["amount"]) == (200 if status == "succeeded" else 202, 500)
    assert same.body["refund_policy"] == "full_refund"


@pytest.mark.defect("R-11")
def test_a_refund_that_a_faster_call_made_is_not_taken_for_one_of_another_amount(
    paid: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its execution has the name of the one that this call would start."""

    def overtaken(_name: str, _order: object) -> bool:
        paid.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={CANCELLED: refund(status="succeeded")}))
        return False

    monkeypatch.setattr(step_functions, "start_refund", overtaken)
    answer = call("POST", REFUND, {"amount": 10_000}, claims=OPERATOR)
    assert answer.error == (409, "REFUND_EXISTS")
    assert answer.body["details"] == {"refund_id": CANCELLED, "amount": 500}


def test_a_disputed_capture_is_not_refunded(stored: Stored, workflow: FakeAws) -> None:
    stored.payment(payment(status="completed", captures=OWN_CAPTURE, disputes={"du_1": OPEN_DISPUTE}))
    assert call("POST", REFUND).error == (409, "PAYMENT_DISPUTED")


@in_table()
def test_a_refund_that_its_execution_refused_is_not_started_again(
    paid: Stored, monkeypatch: pytest.MonkeyPatch, refused: str, error: tuple[int, str]
) -> None:
    started: list[str] = []

    def start(name: str, _: object) -> bool:
        started.append(name)
        return True

    monkeypatch.setattr(step_functions, "start_refund", start)
    ended = step_functions.Execution(status="SUCCEEDED", output={"refused": refused})
    monkeypatch.setattr(step_functions, "refund_execution", lambda _: ended)
    assert call("POST", REFUND).error == tuple(error)
    assert started == [CANCELLED]


def test_a_refund_whose_execution_died_of_an_unreadable_reservation_says_so(
    paid: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: str, __: object) -> bool:
        paid.reservation(status="confirmed", created_at="yesterday")
        return True

    monkeypatch.setattr(step_functions, "start_refund", start)
    monkeypatch.setattr(step_functions, "refund_execution", lambda _: step_functions.Execution(status="FAILED"))
    answer = call("POST", REFUND)
    assert answer.error == (409, "RESERVATION_INVALID")
    assert answer.body["details"].keys() == {"created_at"}


def test_a_refund_that_was_entered_when_its_execution_had_ended_is_answered(
    paid: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def describe(_: str) -> step_functions.Execution:
        paid.payment(payment(status="completed", captures=OWN_CAPTURE, refunds={CANCELLED: refund(status="succeeded")}))
        return step_functions.Execution(status="SUCCEEDED", output={})

    def start(name: str, _: object) -> bool:
        started.append(name)
        return True

    monkeypatch.setattr(step_functions, "start_refund", start)
    monkeypatch.setattr(step_functions, "refund_execution", describe)
    assert call("POST", REFUND).status == 200
    assert started == [CANCELLED]


@pytest.mark.parametrize(
    ("kind", "refund_id", "policy"),
    [("cancellation", CANCELLED, "full_refund"), ("goodwill", "PAY-RES-1-8254c329a928", "manual_refund")],
)
def test_a_refund_without_an_amount_returns_no_more_than_is_left(
    stored: Stored, workflow: FakeAws, monkeypatch: pytest.MonkeyPatch, kind: str, refund_id: str, *, policy: str
) -> None:
    of = payment(status="completed", captures={"pi_1": capture(role="booking", refundable=499)})
    stored.payment(of)
    orders: list[object] = []

    def start(name: str, order: RefundExecutionInput) -> bool:
        orders.append((name, order.amount, order.policy))
        stored.payment(of.model_copy(update={"refunds": {refund_id: refund(amount=499, status="succeeded")}}))
        return True

    monkeypatch.setattr(step_functions, "start_refund", start)
    key = {"Idempotency-Key": "k"}
    assert call("POST", REFUND, {"kind": kind}, claims=OPERATOR, headers=key).status == 200
    assert orders == [(refund_id, 499, policy)]


def test_an_execution_that_ended_without_the_refund_is_replaced_under_the_next_name(
    paid: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reconciler counts the names in the same way, so the two never run beside each other."""
    started: list[str] = []

    def start(name: str, _: object) -> bool:
        started.append(name)
        if name == CANCELLED:
            return False
        entries = {CANCELLED: refund(status="succeeded")}
        paid.payment(payment(status="completed", captures=OWN_CAPTURE, refunds=entries))
        return True

    monkeypatch.setattr(step_functions, "start_refund", start)
    ended = step_functions.Execution(status="FAILED", output=None)
    monkeypatch.setattr(step_functions, "refund_execution", lambda _: ended)
    assert call("POST", REFUND).status == 200
    assert started == [CANCELLED, f"{CANCELLED}-r1"]


@pytest.mark.parametrize("first", [True, False])
@in_table()
@pytest.mark.defect("D-13")
def test_an_execution_that_is_not_visible_yet_is_awaited_and_not_started_again(
    paid: Stored, monkeypatch: pytest.MonkeyPatch, entries: dict[str, Refund], answered: list[Any], *, first: bool
) -> None:
    """It may be read right after it was started, by this call or by another."""
    started: list[str] = []

    def start(name: str, _: object) -> bool:
        started.append(name)
        return first

    def describe(_: str) -> step_functions.Execution:
        paid.payment(payment(status="completed", captures=OWN_CAPTURE, refunds=entries))
        return step_functions.MISSING

    monkeypatch.setattr(step_functions, "start_refund", start)
    monkeypatch.setattr(step_functions, "refund_execution", describe)
    answer = call("POST", REFUND)
    assert [answer.status, answer.body.get("error_code")] == answered
    assert started == ["PAY-RES-1-cancellation"]
