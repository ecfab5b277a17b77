"""What fails at Stripe, at AWS and in the functions themselves → the states visited, and how the booking ends."""

from typing import Any

import pytest

from local.aws import emulator
from tests.workflows.payment.scenario_stage import Guest, until
from tests.workflows.payment.scenarios import (
    CALLED_A_PERSON,
    CLOSED,
    CONFIRMED,
    FAILED,
    HANDED_OVER,
    OPENED,
    OPENED_AGAIN,
    OWN,
    RELEASED,
    STRIPE_ASKED_AGAIN,
    VERIFIED,
    Run,
    Stories,
    Story,
    confirmed,
    released,
)

path = Stories()


# Stripe is down.


@path(
    confirmed(
        f"RecordPayment CreateCheckoutSession {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
    )
)
def stripe_down_at_pay_now_then_paid(guest: Guest) -> None:
    """D-24, D-12: an outage costs no attempt, and is told as one (or as not ready yet); a repeat sends the same."""
    guest.stripe_fails("checkout.sessions.create", times=1_000)
    assert guest.pay_now_in_vain() in {503, 202}
    guest.waits("retry")
    guest.stripe_recovers()
    assert guest.status()["payment_attempts"] == 0
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    keys = {request["idempotency_key"] for request in guest.requests("checkout.sessions.create")}
    assert keys == {f"PAY-{guest.id}:checkout:1"}


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def session_made_but_unanswered(guest: Guest) -> None:
    """D-02, D-22, D-23: repeated with the same key and the same bytes, so that there is one session."""
    guest.stripe_fails("checkout.sessions.create", "timeout_after", times=2)
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    requests = guest.requests("checkout.sessions.create")
    assert [(request["params"], request["idempotency_key"]) for request in requests] == 3 * [
        (requests[0]["params"], f"PAY-{guest.id}:checkout:1")
    ]


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {CONFIRMED}",
        sessions=["open", "complete"],
        attempts=["closed, not counted", "paid"],
    )
)
def session_made_but_answered_500_for_ever(guest: Guest) -> None:
    """D-02: a key that Stripe answers with its stored 500 is given up; the URL of its session is known to nobody."""
    guest.stripe_fails("checkout.sessions.create", "server_error_after")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"RecordPayment CreateCheckoutSession {FAILED} RetrySignal? {CLOSED} {RELEASED}",
        attempts=["closed, not counted"],
    )
)
def session_made_but_never_answered_then_cancelled(guest: Guest) -> None:
    """D-22, D-09: the session that nobody heard of is found under its key, and closed."""
    guest.stripe_fails("checkout.sessions.create", "timeout_after", times=1_000)
    assert guest.pay_now_in_vain() in {503, 202}
    guest.waits("retry")
    guest.stripe_recovers()
    assert guest.cancel() == (200, "expired")


@path(
    confirmed(
        f"RecordPayment CreateCheckoutSession {FAILED} {OPENED_AGAIN} {VERIFIED} {CLOSED} {CONFIRMED}",
        sessions=["expired", "complete"],
        captures=[(50_000, "EUR", "booking")],
        attempts=["closed, not counted", "paid"],
    )
)
def session_made_but_never_answered_then_repriced(guest: Guest) -> None:
    """D-06, D-09: the session at the old price is closed before the booking is confirmed."""
    guest.stripe_fails("checkout.sessions.create", "timeout_after", times=1_000)
    assert guest.pay_now_in_vain() in {503, 202}
    guest.waits("retry")
    guest.stripe_recovers()
    guest.platform(total_amount=50_000)
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {STRIPE_ASKED_AGAIN} {CONFIRMED}"))
def stripe_down_at_the_verification(guest: Guest) -> None:
    """D-24: nothing is concluded from a missing answer."""
    assert guest.pay_now() == (201, "1")
    guest.stripe_fails("*", times=1_000)
    assert guest.pay() == "paid"
    guest.waits_for_stripe()
    assert guest.status()["status"] == "pending"
    guest.stripe_recovers()
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {STRIPE_ASKED_AGAIN} {CLOSED} {RELEASED}"))
def stripe_down_when_sessions_are_closed(guest: Guest) -> None:
    """D-09, D-04: what cannot be closed is not released."""
    assert guest.pay_now() == (201, "1")
    guest.before("expire_checkout_sessions", lambda: guest.stripe_fails("*", times=1_000))
    guest.cancel_meanwhile()
    guest.waits_for_stripe()
    assert guest.stage.admin.reservation(guest.id)["status"] == "pending"
    guest.stripe_recovers()
    assert guest.ended() == "SUCCEEDED"


# The confirming transaction goes wrong.


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def confirmation_committed_but_unanswered(guest: Guest) -> None:
    """P-05: what was written is found by reading."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("dynamodb.TransactWriteItems", "unanswered", 3, caller="confirm_reservation")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    assert guest.published() == ["PaymentConfirmed"]


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def confirmation_in_conflict(guest: Guest) -> None:
    """P-05: a conflict is no refusal."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("dynamodb.TransactWriteItems", "conflict", caller="confirm_reservation")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def confirmation_throttled(guest: Guest) -> None:
    """P-05: three refusals are what the SDK takes; the state tries again."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("dynamodb.TransactWriteItems", "throttled", 3, caller="confirm_reservation")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def release_committed_but_unanswered(guest: Guest) -> None:
    """D-33/34: half done is done."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("dynamodb.TransactWriteItems", "unanswered", 3, caller="release_hold")
    assert guest.cancel() == (200, "expired")


# Each state runs twice: it did its work, and Step Functions did not hear of it.


@path(confirmed(f"RecordPayment {VERIFIED} CreateCheckoutSession AwaitPayment {VERIFIED} {CONFIRMED}"))
def payment_recorded_twice(guest: Guest) -> None:
    guest.aws_fails("dynamodb.PutItem", "unanswered")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def session_created_twice(guest: Guest) -> None:
    """D-02, P-02."""
    guest.aws_fails("lambda.Invoke", "unanswered", about="create-checkout-session")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    assert len(guest.requests("checkout.sessions.create")) == 2


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def session_published_twice(guest: Guest) -> None:
    """P-12: the second token is the one that resumes; the first belongs to a try that is over."""
    guest.aws_fails("dynamodb.UpdateItem", "unanswered")
    assert guest.pay_now() == (201, "1")
    until(lambda: guest.payment()["token_sequence"] % 100 == 1, "the second try to be published")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def verified_and_confirmed_and_published_twice(guest: Guest) -> None:
    for function in ("verify-payment", "confirm-reservation"):
        guest.aws_fails("lambda.Invoke", "unanswered", about=function)
    guest.aws_fails("events.PutEvents", "unanswered")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    assert guest.published() == ["PaymentConfirmed", "PaymentConfirmed"]


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {HANDED_OVER} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["complete", "complete"],
        captures=[(1, "EUR", "unapplied"), OWN],
        attempts=["paid", "paid"],
        refunds=[("unapplied", 1, "succeeded")],
    )
)
def closed_and_recorded_as_failed_and_waited_for_twice(guest: Guest) -> None:
    guest.aws_fails("lambda.Invoke", "unanswered", about="expire-checkout-sessions")
    guest.before("verify_payment", lambda: guest.aws_fails("dynamodb.UpdateItem", "unanswered", 2))
    assert guest.pay_now() == (201, "1")
    guest.force_payment(amount=1)
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {HANDED_OVER} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["complete", "complete"],
        captures=[(1, "EUR", "unapplied"), OWN],
        attempts=["paid", "paid"],
        refunds=[("unapplied", 1, "succeeded")],
    )
)
def given_back_by_a_start_that_nobody_answered(guest: Guest) -> None:
    """D-13: the repeated start finds the refund started, and starts no second one."""
    guest.aws_fails("states.StartExecution", "unanswered")
    assert guest.pay_now() == (201, "1")
    guest.force_payment(amount=1)
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def closed_and_released_and_published_twice(guest: Guest) -> None:
    """D-33/34, P-09."""
    for function in ("expire-checkout-sessions", "release-hold"):
        guest.aws_fails("lambda.Invoke", "unanswered", about=function)
    guest.aws_fails("events.PutEvents", "unanswered")
    assert guest.pay_now() == (201, "1")
    assert guest.cancel() == (200, "expired")
    assert guest.ended() == "SUCCEEDED"
    assert guest.published() == ["HoldReleased", "HoldReleased"]


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {CONFIRMED}",
    )
)
def every_function_once_more_after_the_confirmation(guest: Guest) -> None:
    """D-38/39: nothing moves backwards."""
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    item = guest.payment()
    (pi,) = item["captures"]
    assert invoke(guest, "create-checkout-session") == "ReservationNotPayable"
    assert invoke(guest, "verify-payment", refunds_started=[]) == "paid"
    assert invoke(guest, "expire-checkout-sessions", refunds_started=[]) == "paid"
    assert invoke(guest, "confirm-reservation", payment_intent=pi) == "confirmed"
    assert invoke(guest, "release-hold") == "BookedElsewhere"
    assert guest.payment() == item


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def every_function_once_more_after_the_release(guest: Guest) -> None:
    """D-04, D-07: nothing comes back to life."""
    assert guest.pay_now() == (201, "1")
    assert guest.cancel() == (200, "expired")
    assert guest.ended() == "SUCCEEDED"
    item = guest.payment()
    assert invoke(guest, "create-checkout-session") == "ReservationNotPayable"
    assert invoke(guest, "verify-payment", refunds_started=[]) == "release"
    assert invoke(guest, "expire-checkout-sessions", refunds_started=[]) == "release"
    assert invoke(guest, "release-hold") == "released"
    assert guest.payment() == item


def invoke(guest: Guest, function: str, **more: Any) -> str:
    """What the function says: its next_step, else what it did, else its error's name."""
    event = {"reservation_id": guest.id, "payment_id": f"PAY-{guest.id}", "execution": guest.id, **more}
    answer, _ = emulator.invoke(f"booking-local-{function}", event)
    done = "confirmed" if "amount" in answer else "released"
    return str(answer.get("next_step") or answer.get("errorType") or done)


# What nobody foresaw reaches a person, and the replacement, which meets no such thing, goes on from the item.


def break_down() -> None:
    raise ZeroDivisionError


@path(
    confirmed(
        f"RecordPayment CreateCheckoutSession {CALLED_A_PERSON} | "
        f"RecordPayment {VERIFIED} CreateCheckoutSession AwaitPayment VerifyPayment {CALLED_A_PERSON} | "
        f"RecordPayment {VERIFIED} ConfirmReservation {CALLED_A_PERSON} | "
        f"RecordPayment {VERIFIED} {CONFIRMED}",
        failures=3 * ["ZeroDivisionError"],
    )
)
def functions_broken_on_the_way_to_the_confirmation(guest: Guest) -> None:
    """P-06: no execution hangs, none ends well."""
    for function in ("create_checkout_session", "confirm_reservation"):
        guest.before(function, break_down)
    # The first look is the replacement's, before there is a session; the one that breaks comes when it was paid.
    guest.before("verify_payment", lambda: guest.before("verify_payment", break_down))
    guest.aws_fails("sns.Publish", "unanswered")
    guest.pay_now_in_vain()
    guest.waits("payment")
    assert guest.pay_now() == (200, "1")
    assert guest.pay() == "paid"
    assert guest.ended(restart=3) == "SUCCEEDED"
    assert guest.notified().count("ZeroDivisionError") == 4


@path(
    released(
        f"{OPENED} {VERIFIED} ExpireCheckoutSessions {CALLED_A_PERSON} | "
        f"RecordPayment {VERIFIED} {CLOSED} ReleaseHold {CALLED_A_PERSON} | "
        f"RecordPayment {VERIFIED} {RELEASED}",
        failures=2 * ["ZeroDivisionError"],
    )
)
def functions_broken_on_the_way_to_the_release(guest: Guest) -> None:
    """P-06, D-33/34: a release half done is finished."""
    for function in ("expire_checkout_sessions", "release_hold"):
        guest.before(function, break_down)
    assert guest.pay_now() == (201, "1")
    guest.cancel_meanwhile()
    assert guest.ended(restart=2) == "SUCCEEDED"


# A webhook that cannot do its work.


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def webhook_that_cannot_read(guest: Guest) -> None:
    """D-03, P-06: 5xx, nothing on record, and the redelivery works."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("dynamodb.GetItem", "throttled", 1_000, caller="stripe_webhook")
    assert guest.pay() == "paid"
    (event,) = guest.events("checkout.session.completed")
    until(lambda: guest.deliveries(event), "a first delivery")
    assert set(guest.deliveries(event)) == {503}
    assert guest.recorded(event) is None
    assert guest.payment()["status"] == "pending"
    guest.aws_recovers()
    assert guest.ended() == "SUCCEEDED"
    until(lambda: guest.deliveries(event)[-1] == 200, "the redelivery")


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def webhook_that_cannot_signal(guest: Guest) -> None:
    """D-03: what was tried is on record as an error, which the redelivery replaces."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("states.SendTaskSuccess", "throttled", 1_000, caller="stripe_webhook")
    assert guest.pay() == "paid"
    (event,) = guest.events("checkout.session.completed")
    until(lambda: guest.deliveries(event), "a first delivery")
    assert set(guest.deliveries(event)) == {503}
    assert guest.recorded(event) == "error"
    assert guest.payment()["status"] == "pending"
    guest.aws_recovers()
    assert guest.ended() == "SUCCEEDED"
    until(lambda: guest.recorded(event) in {"success", "duplicate"}, "the redelivery")


# The tests.


@pytest.mark.parametrize("story", path, ids=lambda story: story.name)
def test_path(story: Story, run: Run) -> None:
    played = run.played[story.name]
    played.story.result()
    assert played.ending == story.ending
    assert played.unused == []
