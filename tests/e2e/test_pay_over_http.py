"""Paying over HTTP, from "Pay now" to the confirmed booking, with the timers of production."""

import json
from datetime import timedelta

import pytest

from local.aws import emulator
from tests.e2e.conftest import StackOverHttp
from tests.harness import leaks
from tests.harness.booking_driver import DECLINED
from tests.harness.running_stack import in_parallel
from tests.harness.waiting import wait_until

PAID = [
    "RecordPayment",
    "CreateCheckoutSession",
    "AwaitPayment",
    "VerifyPayment",
    "NextStep?",
    "ConfirmReservation",
    "AnnouncePayment",
    "PaymentConfirmed",
]


def test_a_reservation_without_dates_passes_over_nights_that_somebody_has_chosen(stack: StackOverHttp) -> None:
    taken = stack.reserve().check_in + timedelta(days=3)  # the next reservation would have begun the day before
    stack.local.admin.reserve(nights=1, check_in=taken)
    assert stack.reserve(nights=2).check_in > taken


def test_a_booking_is_reserved_paid_and_confirmed(stack: StackOverHttp) -> None:
    booking = stack.reserve(total_amount=112_500, nights=3)
    answer = booking.pay_now_once()
    session = answer.body
    assert answer.status == 201
    assert set(session) == {
        "payment_id",
        "reservation_id",
        "checkout_session_id",
        "checkout_url",
        "expires_at",
        "amount",
        "currency",
        "attempt_number",
        "attempts_left",
        "hold_expires_at",
    }
    assert (session["amount"], session["currency"], session["attempt_number"]) == (112_500, "EUR", 1)
    assert booking.pay_on_page() == 303
    execution = booking.wait_for_end()
    assert (execution.status, execution.visited) == ("SUCCEEDED", PAID)
    assert booking.reservation_status == "confirmed"
    assert booking.payment["status"] == "completed"
    assert booking.nights_status == "booked"
    status = booking.status()
    assert (status["status"], status["has_completed_payment"]) == ("completed", True)
    published = [event["detail_type"] for event in stack.admin.events() if booking.id in str(event)]
    assert published == ["PaymentConfirmed"]


def test_a_decline_is_counted_and_uses_up_no_attempt(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    session = booking.pay_now().body
    assert booking.pay_on_page(DECLINED) == 402
    assert booking.execution().waiting_in == "AwaitPayment"
    wait_until(lambda: booking.status()["attempts"][0]["declines"] == 1, lambda: f"a decline in {booking.status()}")
    status = booking.status()
    assert len(status["attempts"]) == 1
    assert (status["payment_attempts"], status["status"]) == (1, "pending")
    again = booking.pay_now_once()
    assert (again.status, again.body["checkout_url"]) == (200, session["checkout_url"])
    assert booking.pay_on_page() == 303
    assert booking.wait_for_end().visited == PAID


def test_ten_simultaneous_calls_make_one_execution_one_session_one_answer(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    answers = in_parallel(10, lambda _: booking.pay_now_once())
    assert sorted({answer.status for answer in answers}) in ([200, 201], [201])
    assert len({json.dumps(answer.body, sort_keys=True) for answer in answers}) == 1
    assert len([one for one in stack.admin.executions("payment") if one["name"] == booking.id]) == 1
    created = [
        request
        for request in stack.admin.call("GET", "stripe/requests")
        if request["operation"] == "checkout.sessions.create" and booking.id in json.dumps(request["params"])
    ]
    assert len(created) == 1


def test_fifty_bookings_at_once_are_paid_with_the_expected_number_of_calls(stack: StackOverHttp) -> None:
    bookings = in_parallel(50, lambda _: stack.reserve())
    states = ("create_checkout_session", "verify_payment", "confirm_reservation")
    calls_before = sum(len(emulator.counts.functions[name]) for name in states)
    requests_before = count_session_requests(stack)

    assert in_parallel(50, lambda number: bookings[number].pay_now().status) == [201] * 50
    assert in_parallel(50, lambda number: bookings[number].pay_on_page()) == [303] * 50
    for booking in bookings:
        execution = booking.wait_for_end()
        assert (execution.status, execution.visited) == ("SUCCEEDED", PAID)
        assert execution.transitions <= 9
    assert sum(len(emulator.counts.functions[name]) for name in states) - calls_before == 150
    # Two for each booking, and a third if the event of its payment comes before that of its session.
    assert count_session_requests(stack) - requests_before <= 150


def count_session_requests(stack: StackOverHttp) -> int:
    """Without those of scheduled functions: the clock is the real one here, and the ledger may be due."""
    return sum(one["operation"].startswith("checkout.") for one in stack.admin.call("GET", "stripe/requests"))


def test_everything_that_leaves_the_system_is_searched_for_secrets(
    stack: StackOverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stack of every test is, at its end; here it is searched for what must be there."""
    booking = stack.reserve()
    booking.pay_now()
    assert booking.pay_on_page(DECLINED) == 402
    assert booking.pay_now_once().status == 200
    assert booking.pay_on_page() == 303
    booking.wait_for_end()
    assert stack.local.find_leaks() == []
    found = stack.local.find_leaks({"the booking": booking.id})
    assert [leak.partition(":")[0] for leak in found] == [
        f"the booking in {where}" for where in ("the log", "an answer", "an event", booking.id)
    ]
    # A token is where only the integration with DynamoDB gets it, which is not searched.
    monkeypatch.setattr(leaks, "_passed_on", lambda event: [json.dumps(event, default=str)])
    assert f"a task token in {booking.id}" in stack.local.find_leaks()
