"""lambdas.verify_payment: what it asks Stripe, what it records, and the next step that it returns."""

from datetime import timedelta
from typing import Any

import pytest

from tests.harness.booking_states import BookingStates
from tests.harness.builders import MINUTE, TOTAL, opening, payment
from tests.harness.fake_aws_clients import FakeAws


def test_an_open_session_is_awaited(booking: BookingStates) -> None:
    opened = booking.create_session()
    booking.publish(opened)
    before = booking.item
    for _ in range(2):
        assert booking.verify() == {"next_step": "await_payment", "reason": "none", "attempt": opened}
    assert booking.item == before
    assert booking.requested[1:] == ["checkout.sessions.retrieve"] * 2


@pytest.mark.defect("D-11")
def test_money_is_found_and_recorded_without_an_event(booking: BookingStates) -> None:
    session = booking.open_session()
    booking.stripe.pay(session)
    answer = booking.verify()
    after = booking.item
    [(pi, captured)] = after["captures"].items()
    assert answer == {"next_step": "confirm", "reason": "paid", "payment_intent": pi}
    assert captured == {
        "amount": 112_500,
        "currency": "EUR",
        "session": session,
        "charge": captured["charge"],
        "captured_at": "2026-11-24T15:00:00.000Z",
        "refundable": 112_500,
    }
    assert after["stripe_payment_intent_id"] == pi
    assert after["attempts"]["1"]["status"] == "paid"
    assert "checkout_url" not in after["attempts"]["1"]
    assert (after["status"], after["attempts"]["1"]["counted"]) == ("pending", 1)


def test_a_second_run_returns_the_same_and_changes_nothing(booking: BookingStates) -> None:
    booking.stripe.pay(booking.open_session())
    first = booking.verify()
    after = booking.item
    booking.clock.advance(MINUTE)
    assert booking.verify() == first
    assert booking.item == after


@pytest.mark.parametrize("kind", ["timeout_before", "rate_limit", "reset", "conflict"])
def test_it_waits_for_a_stripe_that_does_not_answer(booking: BookingStates, kind: Any) -> None:
    booking.open_session()
    before = booking.item
    booking.stripe.faults.add("checkout.sessions.retrieve", kind, 2)
    assert booking.verify() == {"next_step": "await_stripe", "reason": "none"}
    assert booking.item == before


def test_closed_sessions_are_not_read_again(booking: BookingStates) -> None:
    """One call in the usual case: a closed session stays closed until an event marks it unresolved."""
    session = booking.open_session()
    first = booking.attempts["1"]
    booking.change(attempts={"1": first, "2": {**first, "status": "closed"}})
    booking.stripe.requests.clear()
    booking.verify()
    assert [request.path for request in booking.stripe.requests] == [f"/v1/checkout/sessions/{session}"]


def test_an_attempt_without_a_session_is_left_to_create_checkout_session(booking: BookingStates) -> None:
    booking.replace(payment(attempts={"1": opening()}, current_attempt="1"))
    assert booking.verify()["next_step"] == "create_session"
    assert booking.requested == []


@pytest.mark.defect("D-09")
def test_the_money_of_an_unresolved_session_is_found(booking: BookingStates) -> None:
    """An earlier session can be paid during a later attempt."""
    booking.stripe.pay(booking.open_session())
    older = {**booking.attempts["1"], "status": "unresolved"}
    booking.change(attempts={"1": older, "2": {**older, "status": "closed"}}, current_attempt="2")
    assert booking.verify()["next_step"] == "confirm"
    assert booking.statuses["1"] == "paid"


def test_it_waits_for_a_payment_that_is_processing(booking: BookingStates) -> None:
    pi = booking.stripe.start_processing(booking.open_session())
    assert booking.verify()["next_step"] == "await_stripe"
    booking.stripe.finish_processing(pi, succeeded=True)
    assert booking.verify()["next_step"] == "confirm"


def test_an_open_session_past_its_deadline_is_expired(booking: BookingStates) -> None:
    booking.open_session()
    booking.clock.advance(timedelta(minutes=30))
    assert booking.verify()["next_step"] == "expire_sessions"


def test_the_reason_of_a_failed_payment_is_returned(booking: BookingStates) -> None:
    session = booking.open_session()
    booking.stripe.pay(session, "4000000000009995")
    booking.stripe.expire_session(session)
    assert booking.verify() == {"next_step": "await_retry", "reason": "insufficient_funds"}


def test_money_whose_refund_was_started_is_ignored(booking: BookingStates) -> None:
    booking.stripe.force_payment(booking.open_session(), amount=1)
    answer = booking.verify()
    assert answer["next_step"] == "refund_unapplied"
    assert booking.verify(answer["payment_intent"])["next_step"] == "await_retry"


@pytest.mark.defect("D-38")
def test_a_recorded_capture_is_never_overwritten(booking: BookingStates) -> None:
    """Its role and what refunds have reserved of it stay as they are."""
    booking.stripe.pay(booking.open_session())
    booking.verify()
    [(pi, captured)] = booking.item["captures"].items()
    kept = captured | {"role": "booking", "refundable": 5, "captured_at": "2026-11-24T14:00:00.000Z"}
    unresolved = {**booking.attempts["1"], "status": "unresolved"}
    booking.change(status="completed", captures={pi: kept}, attempts={"1": unresolved})
    booking.verify()
    assert booking.item["captures"] == {pi: kept}


def test_a_missing_payment_item_raises_lookup_error(booking: BookingStates) -> None:
    booking.stored.delete("payments", "PAY-RES-1")
    with booking.fails_unchanged(LookupError):
        booking.verify()


@pytest.mark.defect("R-02")
@pytest.mark.parametrize("closing", [False, True], ids=["VerifyPayment", "ExpireCheckoutSessions"])
@pytest.mark.parametrize("recorded", [False, True], ids=["unknown", "recorded before"])
@pytest.mark.parametrize(
    ("refunded", "disputed", "expected"),
    [
        (TOTAL, None, "refund_unapplied"),
        (1, None, "refund_unapplied"),
        (0, "needs_response", "refund_unapplied"),
        (0, "warning_needs_response", "confirm"),
    ],
)
def test_only_a_charge_that_holds_its_price_confirms(
    booking: BookingStates,
    fake_aws: FakeAws,
    *,
    closing: bool,
    recorded: bool,
    refunded: int,
    disputed: Any,
    expected: str,
) -> None:
    """Money that was returned is found without an event, and the operators are notified once."""
    session = booking.open_session()
    booking.stripe.pay(session)
    pi = booking.stripe.get("checkout.session", session)["payment_intent"]
    decide = booking.expire_sessions if closing else booking.verify
    if recorded:
        assert decide()["next_step"] == "confirm"
    if refunded:
        booking.stripe.dashboard_refund(pi, refunded)
    if disputed:
        booking.stripe.open_dispute(pi, status=disputed)
    for _ in range(2):
        assert decide() == {"next_step": expected, "reason": "paid", "payment_intent": pi}
    assert fake_aws.notified == (["PaymentReturned"] if expected == "refund_unapplied" else [])


@pytest.mark.defect("R-02")
def test_nothing_is_confirmed_while_stripe_does_not_say_what_is_disputed(
    booking: BookingStates, fake_aws: FakeAws
) -> None:
    session = booking.open_session()
    booking.stripe.pay(session)
    booking.stripe.open_dispute(booking.stripe.get("checkout.session", session)["payment_intent"])
    booking.stripe.faults.add("disputes.list", "rate_limit")
    assert booking.verify()["next_step"] == "await_stripe"
    assert booking.verify()["next_step"] == "refund_unapplied"
    assert fake_aws.notified == ["PaymentReturned"]


@pytest.mark.parametrize(("role", "notified"), [(None, ["PaymentReturned"]), ("unapplied", [])])
def test_money_that_our_own_refund_has_reserved_is_not_reported_as_returned(
    booking: BookingStates, fake_aws: FakeAws, role: Any, notified: list[str]
) -> None:
    """The execution that started the refund may have stopped: its replacement finds the capture with its role."""
    session = booking.open_session()
    booking.stripe.pay(session)
    pi = booking.verify()["payment_intent"]
    [capture] = booking.item["captures"].values()
    booking.change(captures={pi: {**capture, "role": role, "refundable": 0}})
    assert booking.verify()["next_step"] == "refund_unapplied"
    assert fake_aws.notified == notified
