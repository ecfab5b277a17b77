"""lambdas.create_checkout_session: which attempt it opens, and what a second run, a lost answer or a race changes."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from lambdas import create_checkout_session
from shared.adapters import bookings, payment_items, stripe_api
from shared.domain.errors import HoldEnding, ReservationNotPayable, StoreBusy, StripeRefused, StripeUnavailable
from shared.observability import UnexpectedError
from tests.harness.booking_states import BookingStates
from tests.harness.builders import HOUR, NOW, SECOND, WINDOW, attempt, closed, opening, paying, payment
from tests.harness.stored_tables import Stored


def test_it_opens_an_attempt_and_creates_its_session(booking: BookingStates) -> None:
    opened = booking.create_session()
    [session] = booking.stripe.all("checkout.session")
    assert opened == {
        "key": "1",
        "session_id": session["id"],
        "checkout_url": session["url"],
        "checkout_expires_at": "2026-11-24T15:35:00.000Z",
        "deadline": "2026-11-24T15:30:00.000Z",
    }
    after = booking.item
    assert (after["current_attempt"], after["amount"], after["customer_id"]) == ("1", 112_500, "guest-1")
    stored = after["attempts"]["1"]
    assert (stored["status"], stored["counted"], stored["amount"]) == ("opening", 0, 112_500)
    assert (stored["opened_at"], stored["deadline"]) == ("2026-11-24T15:00:00.000Z", "2026-11-24T15:30:00.000Z")
    assert "checkout_url" not in stored
    assert json.loads(stored["parameters"])["expires_at"] == 1_795_534_500


@pytest.mark.defect("D-22")
def test_the_attempt_is_stored_before_stripe_is_called(booking: BookingStates) -> None:
    """Otherwise a lost answer would leave a payable session that nobody knows."""
    booking.fail_to_create_session(("timeout_before", 2))
    assert booking.statuses == {"1": "opening"}
    assert json.loads(booking.attempts["1"]["parameters"])["metadata"]["attempt"] == "1"
    assert booking.sessions == []


@pytest.mark.defect("D-02")
def test_a_second_run_sends_the_same_request_under_the_same_key(booking: BookingStates) -> None:
    """Also 4 minutes later, when a new `expires_at` would differ."""
    first = booking.create_session()
    booking.clock.advance(timedelta(seconds=240))
    assert booking.create_session() == first
    one, two = booking.stripe.requests
    assert one.params == two.params
    assert one.idempotency_key == two.idempotency_key == "booking-test:PAY-RES-1:checkout:1"
    assert booking.sessions == ["open"]
    assert booking.statuses == {"1": "opening"}


def test_a_second_run_finds_the_session_whose_answer_was_lost(booking: BookingStates) -> None:
    booking.fail_to_create_session(("timeout_after", 1), ("timeout_before", 1))
    opened = booking.create_session()
    [session] = booking.stripe.all("checkout.session")
    assert opened["session_id"] == session["id"]


def test_a_run_after_publication_returns_the_published_session(booking: BookingStates) -> None:
    opened = booking.create_session()
    booking.publish(opened)
    assert booking.create_session() == opened
    assert booking.requested == ["checkout.sessions.create"]


@pytest.mark.defect("R-19")
@pytest.mark.parametrize(("age", "sessions"), [(241, ["expired", "open"]), (360, ["open"])])
def test_an_attempt_too_old_to_repeat_is_closed_and_gives_its_place_to_the_next(
    booking: BookingStates, age: int, sessions: list[str]
) -> None:
    """Stripe may have created its session; if not, a request that is six minutes old is refused."""
    booking.fail_to_create_session(("timeout_before", 2))
    booking.clock.advance(timedelta(seconds=age))
    assert booking.create_session()["key"] == "2"
    assert booking.statuses == {"2": "opening"}
    assert [session["status"] for session in booking.stripe.all("checkout.session")] == sessions
    assert booking.stripe.requests[-1].idempotency_key == "booking-test:PAY-RES-1:checkout:2"
    assert booking.item["current_attempt"] == "2"


def test_a_refused_key_is_closed_and_the_next_one_tried(booking: BookingStates) -> None:
    """Stripe stores a 500 under its key and replays it, so that key never gives another answer."""
    booking.fail_to_create_session(("server_error", 1))
    assert booking.create_session()["key"] == "2"
    assert booking.statuses == {"2": "opening"}
    keys = [request.idempotency_key for request in booking.stripe.requests]
    assert keys == [
        "booking-test:PAY-RES-1:checkout:1",
        "booking-test:PAY-RES-1:checkout:1",
        "booking-test:PAY-RES-1:checkout:2",
    ]


def test_two_refusals_in_a_row_raise_stripe_refused(booking: BookingStates, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise StripeRefused("checkout.sessions.create: InvalidRequestError")

    monkeypatch.setattr(stripe_api, "create_checkout_session", refuse)
    with pytest.raises(StripeRefused):
        booking.create_session()
    assert booking.statuses == {"2": "closed"}


@pytest.mark.defect("R-05")
@pytest.mark.parametrize("email", ["ada@guests", "a b@guests.example", "ada@guests.example;bob@guests.example"])
def test_an_invalid_email_address_is_left_out_of_the_next_attempt(booking: BookingStates, email: str) -> None:
    """Stripe asks the guest for one instead."""
    booking.stored.reservation(customer_email=email)
    assert booking.create_session()["key"] == "2"
    attempts = booking.attempts
    assert (attempts["1"]["status"], attempts["1"]["failure_code"]) == ("closed", "email_invalid")
    assert "customer_email" not in json.loads(attempts["2"]["parameters"])


@pytest.mark.defect("R-05")
def test_an_email_address_is_left_out_whatever_code_stripe_refuses_it_with(
    booking: BookingStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, refusals = stripe_api.create_checkout_session, [StripeRefused("", code="other", param="customer_email")]

    def refuse_once(parameters: str, **key: str) -> Any:
        if refusals:
            raise refusals.pop()
        return create(parameters, **key)

    monkeypatch.setattr(stripe_api, "create_checkout_session", refuse_once)
    assert booking.create_session()["key"] == "2"
    assert "customer_email" not in json.loads(booking.attempts["2"]["parameters"])


@pytest.mark.defect("R-05")
def test_a_refusal_for_good_is_recorded_with_its_reason(booking: BookingStates) -> None:
    booking.stripe.faults.add("checkout.sessions.create", "refuse", 2)
    with pytest.raises(StripeRefused):
        booking.create_session()
    last = booking.attempts["2"]
    assert (last["status"], last["close_reason"], last["failure_code"]) == ("closed", "refused", "refused")
    assert booking.expire_sessions()["next_step"] == "await_retry"
    assert booking.create_session()["key"] == "3"


@pytest.mark.defect("R-19")
@pytest.mark.parametrize(("error", "presses", "key"), [(StripeUnavailable, 500, "2"), (StripeRefused, 50, "101")])
def test_a_payment_stays_small_however_often_a_guest_tries_during_an_outage(
    booking: BookingStates, monkeypatch: pytest.MonkeyPatch, error: type[Exception], presses: int, key: str
) -> None:
    """In 20 hours: no request reaches Stripe, or Stripe refuses each one."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error("checkout.sessions.create")

    sizes = []
    for _ in range(presses):
        with monkeypatch.context() as outage:
            outage.setattr(stripe_api, "create_checkout_session", fail)
            with pytest.raises(error):
                booking.create_session()
        sizes.append(len(json.dumps(booking.item, default=str)))
        booking.clock.advance(timedelta(hours=20) / presses)
    assert len(booking.attempts) == 1
    assert max(sizes) < 10_000
    assert booking.create_session()["key"] == key


@pytest.mark.defect("R-19")
def test_an_attempt_keeps_no_parameters_once_it_has_ended(booking: BookingStates) -> None:
    """They are most of its size, and hold the e-mail address."""
    booking.publish(booking.create_session())
    assert "ada@guests.example" in booking.attempts["1"]["parameters"]
    booking.expire_sessions()
    assert (booking.attempts["1"]["status"], booking.attempts["1"]["parameters"]) == ("closed", "")


@pytest.mark.defect("D-02", "D-06")
def test_a_repriced_booking_gets_a_new_attempt_at_the_new_price(booking: BookingStates) -> None:
    booking.fail_to_create_session(("timeout_before", 2))
    booking.stored.reservation(total_amount=90_000)
    assert booking.create_session()["key"] == "2"
    assert booking.statuses == {"2": "opening"}
    former, session = booking.stripe.all("checkout.session")
    assert (former["status"], session["amount_total"]) == ("expired", 90_000)
    assert booking.item["amount"] == 90_000


def test_closed_attempts_are_followed_by_the_next_key(booking: BookingStates) -> None:
    booking.replace(paying(attempts={"1": closed(), "2": closed()}, current_attempt="2"))
    assert booking.create_session()["key"] == "3"
    assert booking.statuses == {"1": "closed", "2": "closed", "3": "opening"}


@pytest.mark.defect("D-09", "P-02")
@pytest.mark.parametrize("current", ["2", None])
def test_no_session_is_opened_while_another_one_is_open(booking: BookingStates, current: str | None) -> None:
    booking.replace(paying(attempts={"1": attempt(), "2": closed()}, current_attempt=current))
    with pytest.raises(ReservationNotPayable):
        booking.create_session()
    assert booking.requested == []


def test_of_two_concurrent_runs_only_one_opens_the_attempt(booking: BookingStates) -> None:
    reservation = bookings.read_booking("RES-1").reservation
    new = opening(opened_at=NOW)
    assert payment_items.open_attempt(payment(), "1", new, reservation, policy=[], now=NOW)
    assert not payment_items.open_attempt(payment(), "1", new, reservation, policy=[], now=NOW)


def test_a_run_that_lost_the_race_is_repeated(booking: BookingStates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payment_items, "open_attempt", lambda *_, **__: False)
    with pytest.raises(StoreBusy):
        booking.create_session()
    assert booking.requested == []


NOT_PAYABLE: dict[str, Callable[[Stored], None]] = {
    "cancelled": lambda stored: stored.reservation(status="cancelled"),
    "confirmed": lambda stored: stored.reservation(status="confirmed"),
    "expired": lambda stored: stored.reservation(status="expired"),
    "below Stripe's minimum": lambda stored: stored.reservation(total_amount=49),
    "above Stripe's maximum": lambda stored: stored.reservation(total_amount=100_000_000),
    "free of charge": lambda stored: stored.reservation(total_amount=0),
    "a night booked by another": lambda stored: stored.night("2026-12-21", "RES-2"),
    "a night available": lambda stored: stored.put("availability", {"date": "2026-12-20", "status": "available"}),
    "a night missing": lambda stored: stored.delete("availability", "2026-12-20"),
    "cancel requested": lambda stored: stored.payment(payment(cancel_requested_at=NOW)),
    "paid": lambda stored: stored.payment(payment(status="completed")),
    "released": lambda stored: stored.payment(payment(status="expired")),
}


@pytest.mark.defect("D-04", "D-33", "D-41")
@pytest.mark.parametrize("change", NOT_PAYABLE.values(), ids=NOT_PAYABLE.keys())
def test_a_booking_that_cannot_be_paid_gets_no_session(
    booking: BookingStates, change: Callable[[Stored], None]
) -> None:
    change(booking.stored)
    with booking.fails_unchanged(ReservationNotPayable):
        booking.create_session()
    assert booking.requested == []


@pytest.mark.parametrize("left", [WINDOW, WINDOW + SECOND])
def test_a_hold_that_lasts_a_whole_checkout_window_is_enough(booking: BookingStates, left: timedelta) -> None:
    booking.replace(payment(hold_expires_at=NOW + left))
    assert booking.create_session()["key"] == "1"


@pytest.mark.defect("D-07")
@pytest.mark.parametrize("left", [WINDOW - SECOND, -HOUR])
def test_a_hold_shorter_than_a_checkout_window_is_not(booking: BookingStates, left: timedelta) -> None:
    booking.replace(payment(hold_expires_at=NOW + left))
    with pytest.raises(HoldEnding):
        booking.create_session()
    assert booking.requested == []
    assert booking.attempts == {}


@pytest.mark.defect("R-13")
def test_a_deleted_reservation_gets_no_session(booking: BookingStates) -> None:
    booking.stored.delete("reservations", "RES-1")
    with booking.fails_unchanged(ReservationNotPayable):
        booking.create_session()


@pytest.mark.parametrize("fields", [{"amount": 1}, {"reservation_id": "../RES-1"}, {"execution": 7}])
def test_unknown_or_invalid_input_fields_are_rejected(booking: BookingStates, fields: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedError, match="ValidationError"):
        booking.run(create_checkout_session, **fields)
