"""shared.services.ownership: metadata finds a payment, and a session that is stored on it proves it.

The charges are at the fake Stripe; their events are delivered to the webhook, signed.
"""

from typing import Any

import pytest

from shared.domain.models import iso
from tests.harness.booking_situations import AWAITED
from tests.harness.builders import NOW, TOTAL, attempt, capture, closed, opening, payment
from tests.harness.stripe_in_process import open_session
from tests.harness.webhook_deliveries import (
    COMPLETED,
    DECLINED,
    EXPIRED,
    OURS,
    POINTER,
    SUCCEEDED,
    Json,
    Webhook,
    dashboard_event,
    deliver,
    event,
)

METADATA = OURS | {"attempt": "1"}
RETRY: Json = {"awaiting": "retry", "task_token": "token", "token_sequence": 1}


@pytest.fixture
def session(webhook: Webhook) -> str:
    """The session of the booking's first attempt; no event of its money has come."""
    webhook.stored.delete("payments", "pi_1")
    session = open_session()
    webhook.store(attempts={"1": attempt(stripe_checkout_session_id=session)}, **AWAITED)
    return session


def pay(webhook: Webhook, session: str) -> str:
    """The PaymentIntent of a session that was paid just now."""
    webhook.stripe.pay(session)
    webhook.stripe.requests.clear()
    return str(webhook.stripe.get("checkout.session", session)["payment_intent"])


def pointer(webhook: Webhook, pi: str) -> Json:
    return webhook.stored.get("payments", pi)


def money_event(kind: str, session: str, pi: str, **fields: Any) -> Json:
    of = {"id": session, "payment_intent": pi} if "session" in kind else {"id": pi}
    return event(kind, **({"metadata": METADATA} | of | fields))


@pytest.mark.defect("R-01")
@pytest.mark.parametrize(("kind", "asked"), [(COMPLETED, 0), (SUCCEEDED, 1), (DECLINED, 1), (EXPIRED, 0)])
def test_the_first_event_of_a_stored_session_writes_the_pointer(
    webhook: Webhook, session: str, kind: str, asked: int
) -> None:
    """A session's event names it; for the others Stripe is asked, once for all events of the PaymentIntent."""
    pi = pay(webhook, session)
    for number in (1, 2):
        webhook.aws.waiting.add("token")
        of = money_event(kind, session, pi) | {"id": f"evt_{number}"}
        assert deliver(of)[1]["processing_result"] == "success"
    assert pointer(webhook, pi) == POINTER | {"payment_id": pi}
    assert [request.operation for request in webhook.stripe.requests] == ["checkout.sessions.list"] * asked


@pytest.mark.defect("R-01")
@pytest.mark.parametrize("status", ["pending", "expired", "completed"])
@pytest.mark.parametrize("checkout", [False, True], ids=["no session", "another session"])
@pytest.mark.parametrize("kind", [COMPLETED, SUCCEEDED])
def test_money_that_carries_our_metadata_is_left_alone_and_notified_once(
    webhook: Webhook, session: str, status: str, checkout: Any, kind: str
) -> None:
    """Anybody with access to the account can copy metadata; attempts that are closed stay closed."""
    webhook.store(status=status, attempts={"1": closed(stripe_checkout_session_id=session)}, **RETRY)
    before = webhook.item
    pi = webhook.stripe.charge_elsewhere(amount=TOTAL, metadata=METADATA, checkout=checkout)["id"]
    for number in (1, 2):
        of = money_event(kind, "cs_other", pi) | {"id": f"evt_{number}"}
        assert deliver(of)[1]["processing_result"] == "skipped"
    matter = {"kind": "unmatched_charge", "subject": pi, "since": iso(NOW), "amount": TOTAL}
    opened = {"attention": {f"unmatched_charge:{pi}": matter}, "attention_since": iso(NOW)}
    assert webhook.item == before | {"notified": {f"unmatched {pi}"}} | opened
    assert webhook.aws.notified == ["UnmatchedCharge"]
    assert webhook.aws.idle
    assert pointer(webhook, pi) == {}


@pytest.mark.defect("R-01")
def test_a_session_is_never_adopted_from_an_event(webhook: Webhook) -> None:
    """An attempt whose session is not known has not been published, so nobody can have paid it."""
    never = opening(status="closed", closed_at=NOW, close_reason="never_opened")
    webhook.store(attempts={"1": never}, **RETRY)
    deliver(event(COMPLETED, payment_intent="pi_other"))
    assert "stripe_checkout_session_id" not in webhook.attempt
    assert (webhook.attempt["status"], webhook.aws.notified) == ("closed", ["UnmatchedCharge"])


@pytest.mark.defect("R-01")
def test_a_decline_of_another_systems_card_is_not_shown_to_the_guest(webhook: Webhook, session: str) -> None:
    with webhook.changes_nothing():
        assert deliver(money_event(DECLINED, session, "pi_other"))[1]["processing_result"] == "skipped"
    assert webhook.aws.notified == []


@pytest.mark.defect("R-02", "R-03")
@pytest.mark.parametrize("kind", ["refund.created", "charge.dispute.created"])
@pytest.mark.parametrize("metadata", [{}, {"order": "7"}, OURS], ids=["none", "another tool's", "ours"])
@pytest.mark.parametrize("known", [attempt, closed])
def test_money_that_is_returned_before_its_own_event_comes_is_found(
    webhook: Webhook, session: str, kind: str, metadata: Json, known: Any
) -> None:
    """However old the event is: Stripe says whose the PaymentIntent is, and the workflow asks about the session."""
    webhook.store(attempts={"1": known(stripe_checkout_session_id=session)}, **AWAITED)
    pi = pay(webhook, session)
    of = dashboard_event(kind, status="needs_response", payment_intent=pi, metadata=metadata, id="dp_1")
    of["created"] -= 3_600
    if kind == "refund.created":
        of["data"]["object"] |= {"status": "succeeded", "id": "re_1"}
    status, _ = deliver(of)
    assert status == (503 if kind == "refund.created" else 200)
    assert webhook.signalled == [("token", "refresh")]
    assert webhook.attempt["status"] == ("open" if known is attempt else "unresolved")
    assert pointer(webhook, pi) == POINTER | {"payment_id": pi}
    assert webhook.aws.notified == ([] if kind == "refund.created" else ["PaymentDisputed"])


@pytest.mark.defect("R-03")
@pytest.mark.parametrize("kind", ["refund.created", "charge.dispute.created"])
def test_late_money_is_refunded_by_whichever_event_comes_first(webhook: Webhook, session: str, kind: str) -> None:
    stored = attempt(stripe_checkout_session_id=session)
    webhook.store(status="completed", attempts={"1": stored}, captures={"pi_1": capture(role="booking")})
    pi = pay(webhook, session)
    status = "succeeded" if kind == "refund.created" else "needs_response"
    deliver(dashboard_event(kind, status=status, payment_intent=pi))
    assert webhook.aws.started_names == [f"REF-{pi}"]
    assert "LatePayment" in webhook.aws.notified


@pytest.mark.defect("R-03")
def test_a_dispute_of_a_second_capture_is_entered(webhook: Webhook) -> None:
    """The pointer finds the payment of any capture."""
    webhook.stored.put("payments", POINTER | {"payment_id": "pi_2"})
    webhook.store(status="completed", captures={"pi_1": capture(role="booking"), "pi_2": capture(role="unapplied")})
    dispute = dashboard_event("charge.dispute.created", id="dp_1", status="needs_response", payment_intent="pi_2")
    assert deliver(dispute)[1]["processing_result"] == "success"
    assert webhook.item["disputes"]["dp_1"]["payment_intent"] == "pi_2"
    assert webhook.aws.notified == ["PaymentDisputed"]


@pytest.mark.defect("R-07")
def test_a_proof_decides_against_metadata_that_names_another_payment_of_ours(webhook: Webhook) -> None:
    """Whoever makes a refund chooses its metadata."""
    webhook.stored.payment(payment(payment_id="PAY-RES-2", reservation_id="RES-2"))
    webhook.store(status="completed", captures={"pi_1": capture(role="booking")})
    metadata = OURS | {"reservation_id": "RES-2", "payment_id": "PAY-RES-2"}
    assert deliver(dashboard_event("refund.created", status="succeeded", metadata=metadata))[0] == 200
    assert list(webhook.item["refunds"]) == ["re_1"]
    assert not webhook.stored.get("payments", "PAY-RES-2").get("refunds")
