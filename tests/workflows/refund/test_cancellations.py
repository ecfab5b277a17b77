"""A guest cancels a paid stay: what comes back, what becomes of the dates, and that a second click changes nothing."""

import time
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from lambdas.payments_api import polling, refunds
from local.aws import emulator
from tests.workflows.refund.conftest import HALF, NOTHING, PENDING, Booking, World

SETTLED_AT_ONCE = [
    "AlreadyFailed?",
    "ReserveRefund",
    "CreateRefund",
    "RefundStatus?",
    "RecordRefund",
    "AnnounceRefund",
    "RefundCompleted",
]


def told(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names}


def test_14_days_ahead_everything_comes_back(world: World) -> None:
    """D-14: the stay is cancelled with it, and its dates are free."""
    booking = world.paid()
    status, body = booking.cancel(reason="a cold")

    assert status == 200
    assert told(body, "refund_id", "amount", "status", "refund_policy", "original_amount") == {
        "refund_id": f"PAY-{booking.id}-cancellation",
        "amount": 45_001,
        "status": "succeeded",
        "refund_policy": "full_refund",
        "original_amount": 45_001,
    }
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert (booking.reservation, booking.night) == ("cancelled", "available")
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert booking.refund().visited == SETTLED_AT_ONCE
    assert told(booking.status(), "status", "has_completed_payment", "is_refunded", "refund_amount") == {
        "status": "refunded",
        "has_completed_payment": True,
        "is_refunded": True,
        "refund_amount": 45_001,
    }
    assert booking.status()["refunds"][0]["reason"] == "a cold"
    of = {"reservation_id": booking.id, "payment_id": booking.payment_id}
    assert world.published("BookingCancelled", booking) == [{**of, "refund_amount": 45_001}]
    assert world.published("RefundCompleted", booking) == [
        {**of, "refund_id": booking.cancellation, "amount": 45_001, "payment_status": "refunded"}
    ]


def test_what_a_guest_writes_is_never_in_an_executions_input(world: World) -> None:
    booking = world.paid()
    booking.cancel(reason="call me at +34 600 000 000")
    machine = world.stack.outputs["refundStateMachineArn"].replace(":stateMachine:", ":execution:")
    described = boto3.client("stepfunctions", region_name=emulator.REGION).describe_execution(
        executionArn=f"{machine}:{booking.cancellation}"
    )
    assert "+34" not in described["input"]
    assert booking.entry()["reason"] == "call me at +34 600 000 000"


def test_13_to_7_days_ahead_half_comes_back_rounded_down(world: World) -> None:
    booking = world.paid(HALF)
    status, body = booking.cancel()
    assert (status, body["amount"], body["refund_policy"]) == (200, 22_500, "partial_refund_50")
    assert booking.ledger == ("partially_refunded", 22_500, 0, 22_501)
    assert (booking.reservation, booking.night) == ("cancelled", "available")
    assert booking.refunds_at_stripe() == [("succeeded", 22_500)]


def test_less_than_7_days_ahead_nothing_comes_back_and_nothing_changes(world: World) -> None:
    booking = world.paid(NOTHING)
    answer = booking.cancel()
    assert answer.error == (400, "REFUND_NOT_ALLOWED")
    days = answer.body["details"].pop("days_until_checkin")
    assert days in NOTHING
    assert answer.body["details"] == {"check_in_date": booking.check_in, "policy": "no_refund"}
    assert booking.ledger == ("completed", 0, 0, 45_001)
    assert (booking.reservation, booking.night) == ("confirmed", "booked")
    assert booking.refunds_at_stripe() == []


def test_a_double_click_is_one_cancellation(world: World) -> None:
    """D-13: the slower one may find the first one's refund still under way."""
    booking = world.paid()
    clicks = [world.meanwhile(booking.cancel) for _ in range(2)]
    answers = [click.result() for click in clicks]
    assert {answer.status for answer in answers} <= {200, 202}
    assert {(answer.body["refund_id"], answer.body["amount"]) for answer in answers} == {(booking.cancellation, 45_001)}
    booking.wait_for_end()
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]
    assert list(booking.item["refunds"]) == [booking.cancellation]


def test_a_click_on_the_next_day_finds_the_first_one_though_the_policy_says_less(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = world.paid()
    check_in = date.fromisoformat(booking.check_in)

    def today_is(days_before: int) -> None:
        noon = datetime.combine(check_in - timedelta(days=days_before), datetime.min.time()) + timedelta(hours=12)
        clock = SimpleNamespace(now=lambda zone: noon.replace(tzinfo=zone))
        monkeypatch.setattr(refunds, "datetime", clock)

    today_is(14)
    first = booking.cancel()
    today_is(13)
    second = booking.cancel()
    assert (first.status, first.body["amount"], first.body["refund_policy"]) == (200, 45_001, "full_refund")
    assert second == first
    assert booking.refunds_at_stripe() == [("succeeded", 45_001)]


def test_a_stay_that_the_platform_has_cancelled_is_the_money_part_only(world: World) -> None:
    """Its night may be somebody else's by now."""
    booking = world.paid()
    world.admin.change_reservation(booking.id, status="cancelled", total_amount=None)
    world.table("availability").put_item(
        Item={"date": booking.check_in, "status": "booked", "reservation_id": "RES-other"}
    )
    assert booking.cancel().status == 200
    assert booking.ledger == ("refunded", 45_001, 0, 0)
    assert world.admin.night(booking.check_in)["reservation_id"] == "RES-other"
    assert world.published("BookingCancelled", booking) == []


def test_a_night_that_is_not_the_stays_any_more_is_left_alone(world: World) -> None:
    booking = world.paid()
    world.table("availability").put_item(
        Item={"date": booking.check_in, "status": "blocked", "reservation_id": "owner"}
    )
    assert booking.cancel().status == 200
    assert (booking.reservation, booking.night) == ("cancelled", "blocked")


def test_a_booking_that_was_never_paid_has_no_refund(world: World) -> None:
    """D-14: neither before the first session, nor while one is open, nor after the release."""
    booking = world.held()
    assert booking.cancel().error == (400, "REFUND_NOT_ALLOWED")
    booking.press_pay_now()
    assert booking.cancel().error == (400, "REFUND_NOT_ALLOWED")
    assert world.call("POST", f"{booking.id}/cancel", booking.token).status == 200
    assert booking.cancel().error == (400, "REFUND_NOT_ALLOWED")
    assert booking.item["refunds"] == {}
    assert booking.status()["is_refunded"] is False


def test_a_refund_that_stays_pending_is_answered_202_and_shown_as_such(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-13: pending is not refunded."""
    passed = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed, sleep=time.sleep)
    monkeypatch.setattr(polling, "time", clock)
    booking = world.paid(card=PENDING)
    click = world.meanwhile(booking.cancel)
    booking.wait_for("AwaitRefundSettlement")
    passed = 8.0
    status, body = click.result()
    assert (status, body["status"], body["amount"]) == (202, "pending", 45_001)
    assert booking.ledger == ("completed", 0, 45_001, 0)
    assert told(booking.status(), "status", "is_refunded", "refund_amount", "refund_pending_amount") == {
        "status": "completed",
        "is_refunded": False,
        "refund_amount": 0,
        "refund_pending_amount": 45_001,
    }
    assert (booking.reservation, booking.night) == ("cancelled", "available")


# Operators.


def test_goodwill_leaves_the_booking_as_it_is(world: World) -> None:
    booking = world.paid()
    status, body = booking.give_back(1_500)
    assert (status, body["amount"], body["refund_policy"]) == (200, 1_500, "manual_refund")
    assert body["refund_id"].startswith(f"{booking.payment_id}-")
    assert booking.ledger == ("partially_refunded", 1_500, 0, 43_501)
    assert (booking.reservation, booking.night) == ("confirmed", "booked")
    assert world.published("BookingCancelled", booking) == []


def test_a_key_is_one_goodwill_refund_whatever_its_spelling_in_the_header(world: World) -> None:
    """D-13: the same key is the same refund, with another amount it is a mistake, another key is a new refund."""
    booking = world.paid()
    first = booking.give_back(100, key="k")
    body = {"kind": "goodwill", "amount": 100}
    again = world.call("POST", f"{booking.id}/refund", world.operator, body, {"idempotency-key": "k"})
    assert again == first
    assert booking.give_back(200, key="k").error == (400, "INVALID_REQUEST")
    assert booking.give_back(200, key="l").status == 200
    assert booking.refunds_at_stripe() == [("succeeded", 100), ("succeeded", 200)]
    assert booking.give_back(100, key="").error == (400, "INVALID_REQUEST")


def test_after_goodwill_a_cancellation_gives_back_what_is_left_at_most(world: World) -> None:
    booking = world.paid()
    booking.give_back(45_000)
    status, body = booking.cancel()
    assert (status, body["amount"], body["refund_policy"]) == (200, 1, "full_refund")
    assert booking.ledger == ("refunded", 45_001, 0, 0)


def test_operators_may_cancel_a_stay_with_any_amount_up_to_what_is_left(world: World) -> None:
    booking = world.paid(NOTHING)
    too_much = booking.give_back(45_002, kind="cancellation")
    assert too_much.error == (400, "REFUND_NOT_ALLOWED")
    assert too_much.body["details"] == {"refundable_amount": 45_001}
    status, body = booking.give_back(40_000, kind="cancellation")
    assert (status, body["amount"], body["refund_policy"]) == (200, 40_000, "manual_refund")
    assert booking.ledger == ("partially_refunded", 40_000, 0, 5_001)
    assert (booking.reservation, booking.night) == ("cancelled", "available")


def everything(booking: Booking) -> tuple[Any, ...]:
    return booking.item, booking.reservation, booking.night, booking.refunds_at_stripe()


def test_nobody_but_its_guest_or_an_operator_refunds_a_booking(world: World) -> None:
    """D-17 D-19: and a stranger learns no more than that there is nothing."""
    booking = world.paid()
    before = everything(booking)
    refund = f"{booking.id}/refund"
    resolution = f"{booking.id}/refunds/{booking.cancellation}/resolution"
    missing = world.call("POST", "RES-none/refund", world.stranger)
    assert missing.error == (404, "NOT_FOUND")
    assert world.call("POST", refund, world.stranger) == missing
    assert world.call("POST", refund, None).error == (401, "UNAUTHENTICATED")
    assert world.call("POST", refund, world.stranger, {"amount": 1}).error == (403, "FORBIDDEN")
    assert booking.cancel(amount=1).error == (403, "FORBIDDEN")
    assert booking.cancel(kind="goodwill").error == (403, "FORBIDDEN")
    for token in (booking.token, world.stranger):
        assert world.call("POST", resolution, token, {"answer": "retry"}).error == (403, "FORBIDDEN")
    assert world.call("POST", f"{booking.id}/cancel", world.stranger) == missing
    assert everything(booking) == before


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 10.5},
        {"amount": "1"},
        {"kind": "unapplied"},
        {"reason": "r" * 501},
        {"x": 1},
    ],
    ids=["0", "negative", "half a cent", "text", "not a kind of theirs", "too long", "unknown field"],
)
def test_malformed_requests_are_refused(world: World, body: dict[str, Any]) -> None:
    """D-35."""
    answer = world.call("POST", "RES-none/refund", world.operator, body)
    assert answer.error == (400, "INVALID_REQUEST")
    assert list(answer.body["details"]) == list(body)
