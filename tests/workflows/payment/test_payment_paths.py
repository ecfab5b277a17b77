"""What happens to a booking → the states visited, and where its money, its dates and its sessions end.

Here no timer goes off (those are in test_payment_timers.py) and every service works (test_payment_faults.py).
"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.workflows.payment.scenario_stage import CHALLENGED, DECLINED, NO_FUNDS, Guest, until
from tests.workflows.payment.scenarios import (
    AFTER_ONE_EXPIRY,
    CALLED_A_PERSON,
    CLOSED,
    CONFIRMED,
    FAILED,
    HANDED_OVER,
    LOST,
    OPENED,
    OPENED_AGAIN,
    OWN,
    REFUNDED,
    RELEASED,
    STRIPE_ASKED_AGAIN,
    UNAPPLIED,
    VERIFIED,
    Run,
    Stories,
    Story,
    confirmed,
    released,
)

path = Stories()


# Paying.


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def paid_at_once(guest: Guest) -> None:
    """D-01: the payment that was made is the one that is completed."""
    assert guest.pay_now() == (201, "1")
    assert guest.pay_on_page() == 303
    assert guest.ended() == "SUCCEEDED"
    item = guest.payment()
    (pi,) = item["captures"]
    assert item["stripe_payment_intent_id"] == pi
    assert guest.stage.admin.reservation(guest.id)["payment_id"] == item["payment_id"] == f"PAY-{guest.id}"
    assert guest.published() == ["PaymentConfirmed"]
    assert guest.pay_now() == (400, "RESERVATION_NOT_PAYABLE")


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def declined_twice_in_one_session_then_paid(guest: Guest) -> None:
    """D-11, D-12: declines are counted, and use up no attempt."""
    assert guest.pay_now() == (201, "1")
    assert guest.pay_on_page(DECLINED) == 402
    assert guest.pay_on_page(NO_FUNDS) == 402
    until(lambda: len(guest.payment()["attempts"]["1"]["declines"]) == 2, "both declines to be noted")
    status = guest.status()
    assert (status["payment_attempts"], status["attempts_left"], status["attempts"][0]["declines"]) == (1, 2, 2)
    assert guest.pay_now() == (200, "1")
    assert guest.pay_on_page() == 303
    assert guest.ended() == "SUCCEEDED"
    assert sorted(guest.payment()["attempts"]["1"]["declines"].values()) == ["generic_decline", "insufficient_funds"]


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def decline_heard_of_after_the_payment(guest: Guest) -> None:
    """P-04, D-38/39: an older event does not take a payment back."""
    guest.webhooks("keep")
    assert guest.pay_now() == (201, "1")
    assert guest.pay(DECLINED) == "declined"
    assert guest.pay() == "paid"
    guest.release_webhooks("checkout.session.completed")
    assert guest.ended() == "SUCCEEDED"
    guest.release_webhooks()
    until(lambda: len(guest.payment()["attempts"]["1"]["declines"]) == 1, "the decline to be noted")
    assert guest.payment()["status"] == "completed"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def paid_after_a_3d_secure_challenge(guest: Guest) -> None:
    assert guest.pay_now() == (201, "1")
    assert guest.pay(CHALLENGED) == "challenge"
    assert guest.pass_challenge() == 303
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def webhooks_doubled(guest: Guest) -> None:
    """D-10, P-10: one payment, whatever is delivered how often."""
    guest.webhooks("duplicate")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    assert guest.published() == ["PaymentConfirmed"]


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def webhooks_newest_first(guest: Guest) -> None:
    """D-38/39: their order does not matter."""
    guest.webhooks("reverse")
    assert guest.pay_now() == (201, "1")
    assert guest.pay(DECLINED) == "declined"
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def webhook_never_comes_but_the_guest_comes_back(guest: Guest) -> None:
    """D-32, P-03: the guest who comes back from Stripe makes the workflow look."""
    guest.webhooks("keep")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.come_back()[0] == 200
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} AwaitPayment {VERIFIED} {CONFIRMED}"))
def refreshed_before_it_was_paid(guest: Guest) -> None:
    """A look that finds nothing goes back to waiting, with the same session."""
    assert guest.pay_now() == (201, "1")
    first = guest.waits("payment")
    assert guest.come_back() == (200, "pending")
    guest.waits("payment", after=first)
    assert guest.pay_now() == (200, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def paid_while_the_workflow_is_between_two_states(guest: Guest) -> None:
    """P-03, P-12: nobody waits for the event, and it is not lost."""
    assert guest.pay_now() == (201, "1")
    guest.before("verify_payment", guest.pay)
    assert guest.come_back() == (200, "pending")
    assert guest.ended() == "SUCCEEDED"
    (event,) = guest.events("payment_intent.succeeded")
    until(lambda: guest.recorded(event) == "duplicate", "the event to be recorded")


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def ten_calls_at_once(guest: Guest) -> None:
    """P-02: one execution, one session, one answer."""
    body = {"reservation_id": guest.id}
    with ThreadPoolExecutor(10) as callers:
        answers = list(callers.map(lambda _: guest.api("POST", "checkout-session", body), range(10)))
    assert {status for status, _ in answers} <= {200, 201}
    assert len({json.dumps(answer) for _, answer in answers}) == 1
    assert len(guest.requests("checkout.sessions.create")) == 1
    names = [execution["name"] for execution in guest.stage.admin.executions("payment")]
    assert [name for name in names if guest.id in name] == [guest.id]
    guest.session = answers[0][1]["checkout_session_id"]
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


# Trying again.


@path(
    confirmed(
        f"{AFTER_ONE_EXPIRY} {VERIFIED} {CONFIRMED}",
        sessions=["expired", "complete"],
        attempts=["closed", "paid"],
    )
)
def session_expired_at_stripe_retried_paid(guest: Guest) -> None:
    """D-02, D-11: the end of a session is noticed, and the next one has a key of its own."""
    assert guest.pay_now() == (201, "1")
    guest.expire_at_stripe()
    guest.waits("retry")
    assert guest.status()["can_retry"] is True
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    keys = [request["idempotency_key"] for request in guest.requests("checkout.sessions.create")]
    assert keys == [f"PAY-{guest.id}:checkout:1", f"PAY-{guest.id}:checkout:2"]


THREE_EXPIRIES = f"{AFTER_ONE_EXPIRY} {VERIFIED} {FAILED} {OPENED_AGAIN} {VERIFIED} {FAILED}"


@path(
    confirmed(
        f"{THREE_EXPIRIES} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["expired", "expired", "expired", "complete"],
        attempts=["closed", "closed", "closed", "paid"],
    )
)
def attempts_used_up_then_one_granted(guest: Guest) -> None:
    """D-12: neither way opens a fourth session, until operators allow it."""
    for number in ("1", "2", "3"):
        before = guest.payment().get("token_sequence", 0)
        assert guest.pay_now() == (201, number)
        guest.expire_at_stripe()
        guest.waits("retry", after=before)
    assert guest.retry() == (409, "ATTEMPTS_EXHAUSTED")
    assert guest.pay_now() == (409, "ATTEMPTS_EXHAUSTED")
    assert guest.status()["can_retry"] is False
    assert guest.api("POST", f"{guest.id}/attempts")[0] == 403
    assert guest.grant_attempt() == 200
    assert guest.retry() == (201, "4")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"RecordPayment CreateCheckoutSession AwaitRetry RetrySignal? {CLOSED} {RELEASED}", sessions=[], attempts=[]
    ),
    hold_left=24,
)
def no_window_of_hold_is_left(guest: Guest) -> None:
    """D-07: a session that would outlast the hold is never opened."""
    assert guest.pay_now() == (409, "HOLD_ENDING")
    start(guest, hold=timedelta(seconds=24))
    guest.waits("retry")
    assert guest.retry() == (409, "HOLD_ENDING")
    assert guest.pay_now() == (409, "HOLD_ENDING")
    assert guest.cancel() == (200, "expired")


def start(guest: Guest, *, hold: timedelta) -> None:
    """Start an execution that the API would refuse to start."""
    ends = (datetime.now(UTC) + hold).isoformat(timespec="milliseconds")
    guest.stage.states.start_execution(
        stateMachineArn=guest.stage.stack.outputs["paymentStateMachineArn"],
        name=guest.id,
        input=json.dumps(
            {
                "reservation_id": guest.id,
                "payment_id": f"PAY-{guest.id}",
                "hold_expires_at": ends,
                "success_url": "http://localhost:8400/booking/success",
                "cancel_url": "http://localhost:8400/booking/cancel",
            }
        ),
    )


@path(
    confirmed(
        f"{OPENED} ExpireCheckoutSessions NextStep? {FAILED} RetrySignal? {CLOSED} {FAILED} {OPENED_AGAIN} "
        f"{VERIFIED} {CONFIRMED}",
        sessions=["expired", "complete"],
        attempts=["closed", "paid"],
    )
)
def wait_ended_by_hand(guest: Guest) -> None:
    """Whatever ends a wait, the sessions are closed and it goes on; a look at no session changes nothing."""
    assert guest.pay_now() == (201, "1")
    guest.stage.states.send_task_failure(taskToken=guest.payment()["task_token"], error="ByHand")
    first = guest.waits("retry")
    guest.stage.states.send_task_success(taskToken=guest.payment()["task_token"], output='{"signal": "refresh"}')
    guest.waits("retry", after=first)
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    confirmed(
        f"{OPENED} | RecordPayment {VERIFIED} AwaitPayment {VERIFIED} {CONFIRMED}",
        failures=["Stopped"],
    )
)
def execution_dies_and_a_replacement_goes_on(guest: Guest) -> None:
    """The item is the memory: the replacement waits for the same session."""
    assert guest.pay_now() == (201, "1")
    first = guest.waits("payment")
    guest.stage.admin.stop_execution(guest.id)
    guest.waits("payment", after=first)
    assert guest.pay_now() == (200, "1")
    assert guest.pay() == "paid"
    assert guest.ended(restart=1) == "SUCCEEDED"


# Payments on their way when their session ends.


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {STRIPE_ASKED_AGAIN} {CONFIRMED}",
        sessions=["expired"],
    )
)
def session_expired_with_a_payment_processing_then_paid(guest: Guest) -> None:
    """D-09, P-05: no further session is opened, nothing is released, while money may still come."""
    assert guest.pay_now() == (201, "1")
    pi = guest.stage.fake_stripe.start_processing(guest.session)
    guest.expire_at_stripe()
    guest.waits_for_stripe()
    assert "checkout_url" not in guest.status()
    guest.stage.fake_stripe.finish_processing(pi, succeeded=True)
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"{OPENED} {VERIFIED} {STRIPE_ASKED_AGAIN} {FAILED} RetrySignal? {CLOSED} {RELEASED}",
    )
)
def session_expired_with_a_payment_processing_then_not_paid(guest: Guest) -> None:
    """D-11: the failure is noticed, and the guest may go on."""
    assert guest.pay_now() == (201, "1")
    pi = guest.stage.fake_stripe.start_processing(guest.session)
    guest.expire_at_stripe()
    guest.waits_for_stripe()
    guest.stage.fake_stripe.finish_processing(pi, succeeded=False)
    guest.waits("retry")
    assert guest.payment()["attempts"]["1"]["failure_code"] == "generic_decline"
    assert guest.cancel() == (200, "expired")


@path(
    confirmed(
        f"{AFTER_ONE_EXPIRY} {VERIFIED} {CLOSED} {CONFIRMED}",
        sessions=["complete", "expired"],
        attempts=["paid", "closed"],
    )
)
def earlier_session_captured_during_a_later_attempt(guest: Guest) -> None:
    """D-09, P-02: the later session is closed before the booking is confirmed with the earlier one's money."""
    assert guest.pay_now() == (201, "1")
    first = guest.session
    guest.expire_at_stripe()
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    guest.force_payment(first)
    assert guest.ended() == "SUCCEEDED"
    assert guest.pay() == "refused"


@path(
    confirmed(
        f"{AFTER_ONE_EXPIRY} {VERIFIED} {HANDED_OVER} {CONFIRMED}",
        sessions=["complete", "complete"],
        captures=[OWN, UNAPPLIED],
        attempts=["paid", "paid"],
        refunds=[REFUNDED],
    )
)
def two_sessions_paid(guest: Guest) -> None:
    """D-09: one payment is the booking's, the other is given back."""
    guest.webhooks("keep")
    assert guest.pay_now() == (201, "1")
    first = guest.session
    guest.expire_at_stripe()
    guest.release_webhooks()
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    guest.webhooks("keep")
    assert guest.pay() == "paid"
    guest.force_payment(first)
    guest.release_webhooks(first)
    assert guest.ended() == "SUCCEEDED"
    guest.release_webhooks()


@path(
    confirmed(
        f"{AFTER_ONE_EXPIRY} {VERIFIED} {CONFIRMED}",
        sessions=["complete", "complete"],
        captures=[OWN, UNAPPLIED],
        attempts=["unresolved", "paid"],
        refunds=[REFUNDED],
    )
)
def earlier_session_captured_after_the_confirmation(guest: Guest) -> None:
    """D-09: nothing waits any more, and the second payment is given back all the same."""
    assert guest.pay_now() == (201, "1")
    first = guest.session
    guest.expire_at_stripe()
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    guest.force_payment(first)
    until(lambda: guest.notified() != [], "the operators to hear of it")
    assert set(guest.notified()) == {"LatePayment"}


# Cancelled by the guest.


@path(released(f"RecordPayment {VERIFIED} {RELEASED}", sessions=[], attempts=[]))
def cancelled_before_pay_now(guest: Guest) -> None:
    """D-33/34: the request is the booking's first word; no session is ever made."""
    assert guest.cancel() == (200, "expired")
    assert guest.pay_now() == (400, "RESERVATION_NOT_PAYABLE")
    assert guest.requests("checkout.sessions.create") == []
    assert guest.published() == ["HoldReleased"]


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def cancelled_before_paying(guest: Guest) -> None:
    """D-14: an unpaid booking has nothing to refund."""
    assert guest.pay_now() == (201, "1")
    assert guest.cancel() == (200, "expired")
    assert guest.cancel() == (200, "expired")
    assert guest.pay() == "refused"
    assert guest.status()["refund_amount"] == 0


@path(released(f"{OPENED} {CLOSED} {RELEASED}", attempts=["closed, not counted"]))
def cancelled_while_the_session_is_made(guest: Guest) -> None:
    """D-33: the session is found and closed, though its URL was never published."""
    guest.after("create_checkout_session", guest.cancel_meanwhile)
    assert guest.pay_now() == (400, "RESERVATION_NOT_PAYABLE")
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {FAILED} RetrySignal? {CLOSED} {RELEASED}"))
def cancelled_between_two_attempts(guest: Guest) -> None:
    assert guest.pay_now() == (201, "1")
    guest.expire_at_stripe()
    guest.waits("retry")
    assert guest.cancel() == (200, "expired")


@path(
    released(
        f"{OPENED} {VERIFIED} {HANDED_OVER} {RELEASED}",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def cancelled_while_paying(guest: Guest) -> None:
    """D-04: a cancel beats a payment that is not confirmed yet; the money goes back in full."""
    guest.webhooks("keep")
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.cancel() == (200, "expired")
    guest.release_webhooks()


@path(
    released(
        f"{OPENED} {VERIFIED} {CLOSED} {HANDED_OVER} {RELEASED}",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def cancelled_and_paid_while_the_session_is_closed(guest: Guest) -> None:
    """D-04: Stripe refuses to expire what is complete, and the money is found by reading."""
    assert guest.pay_now() == (201, "1")
    guest.before("expire_checkout_sessions", guest.pay)
    assert guest.cancel() == (200, "expired")


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def cancelled_when_stripe_has_just_expired_the_session(guest: Guest) -> None:
    """P-09: expiring what has expired is no failure."""
    assert guest.pay_now() == (201, "1")
    guest.before("expire_checkout_sessions", guest.expire_at_stripe)
    assert guest.cancel() == (200, "expired")


@path(
    released(
        f"{OPENED} {VERIFIED} {CLOSED} {STRIPE_ASKED_AGAIN} {HANDED_OVER} {RELEASED}",
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def cancelled_with_the_bank_still_asking(guest: Guest) -> None:
    """D-04: dates are not released while a 3-D Secure challenge may still bring money."""
    assert guest.pay_now() == (201, "1")
    assert guest.pay(CHALLENGED) == "challenge"
    guest.cancel_meanwhile()
    guest.waits_for_stripe()
    assert guest.stage.admin.reservation(guest.id)["status"] == "pending"
    guest.pass_challenge()
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"{LOST} {RELEASED}",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def cancelled_on_the_way_to_the_confirmation(guest: Guest) -> None:
    """D-04, D-33/34: until the transaction, the cancel wins."""
    assert guest.pay_now() == (201, "1")
    guest.before("confirm_reservation", guest.cancel_meanwhile)
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}"))
def cancelled_after_paying(guest: Guest) -> None:
    """D-14: a paid booking is cancelled with a refund, not by this route."""
    assert guest.pay_now() == (201, "1")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"
    assert guest.cancel() == (409, "ALREADY_PAID")


@path(
    released(
        f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["unresolved"],
        refunds=[REFUNDED],
    )
)
def paid_after_the_release(guest: Guest) -> None:
    """D-04, P-01: late money confirms nothing; it goes back and the operators hear of it."""
    assert guest.pay_now() == (201, "1")
    assert guest.cancel() == (200, "expired")
    guest.force_payment()
    until(lambda: guest.notified() != [], "the operators to hear of it")
    assert set(guest.notified()) == {"LatePayment"}


# The wrong money.


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {HANDED_OVER} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["complete", "complete"],
        captures=[(1, "EUR", "unapplied"), OWN],
        attempts=["paid", "paid"],
        refunds=[("unapplied", 1, "succeeded")],
    )
)
def one_cent_paid(guest: Guest) -> None:
    """D-06: it is given back, and the booking goes on."""
    assert guest.pay_now() == (201, "1")
    guest.force_payment(amount=1)
    guest.waits("retry")
    assert guest.stage.admin.reservation(guest.id)["status"] == "pending"
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {HANDED_OVER} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["complete", "complete"],
        captures=[OWN, (45_000, "USD", "unapplied")],
        attempts=["paid", "paid"],
        refunds=[REFUNDED],
    )
)
def paid_in_another_currency(guest: Guest) -> None:
    """D-06."""
    assert guest.pay_now() == (201, "1")
    guest.force_payment(currency="usd")
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


# Cancelled, repriced or given away by the platform, at each step.


@path(
    released(
        f"RecordPayment CreateCheckoutSession {CLOSED} {RELEASED}",
        sessions=[],
        attempts=[],
    )
)
def cancelled_by_the_platform_before_the_session(guest: Guest) -> None:
    """D-04."""
    guest.before("create_checkout_session", lambda: guest.platform(status="cancelled"))
    assert guest.pay_now() == (400, "RESERVATION_NOT_PAYABLE")
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def cancelled_by_the_platform_while_the_session_is_made(guest: Guest) -> None:
    """D-04: the session is never handed out, and closed at the next look."""
    guest.after("create_checkout_session", lambda: guest.platform(status="cancelled"))
    assert guest.pay_now() == (400, "RESERVATION_NOT_PAYABLE")
    guest.waits("payment")
    guest.session = guest.payment()["attempts"]["1"]["stripe_checkout_session_id"]
    assert guest.come_back() == (200, "pending")
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"{OPENED} {VERIFIED} {HANDED_OVER} {RELEASED}",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def cancelled_by_the_platform_while_the_guest_pays(guest: Guest) -> None:
    """D-04, P-01."""
    assert guest.pay_now() == (201, "1")
    guest.before("verify_payment", lambda: guest.platform(status="cancelled"))
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"{LOST} {RELEASED}",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def cancelled_by_the_platform_before_the_confirmation(guest: Guest) -> None:
    """D-04."""
    assert guest.pay_now() == (201, "1")
    guest.before("confirm_reservation", lambda: guest.platform(status="cancelled"))
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        f"{LOST} {RELEASED}",
        reservation="expired",
        nights="another's, available",
        sessions=["complete"],
        captures=[UNAPPLIED],
        attempts=["paid"],
        refunds=[REFUNDED],
    )
)
def night_given_away_before_the_confirmation(guest: Guest) -> None:
    """P-01, D-04: charged, but the dates are gone: the money goes back, and another guest's night stays theirs."""
    assert guest.pay_now() == (201, "1")
    guest.before("confirm_reservation", guest.lose_night)
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {FAILED} RetrySignal? {CLOSED} {RELEASED}"))
def cancelled_by_the_platform_between_two_attempts(guest: Guest) -> None:
    """D-07: nothing can be paid any more."""
    assert guest.pay_now() == (201, "1")
    guest.expire_at_stripe()
    guest.waits("retry")
    guest.platform(status="cancelled")
    assert guest.retry() == (400, "RESERVATION_NOT_PAYABLE")
    assert guest.cancel() == (200, "expired")


@path(released(f"{OPENED} {VERIFIED} {FAILED} RetrySignal? CreateCheckoutSession {CLOSED} {RELEASED}"))
def cancelled_by_the_platform_on_the_way_to_another_attempt(guest: Guest) -> None:
    """D-04."""
    assert guest.pay_now() == (201, "1")
    guest.expire_at_stripe()
    guest.waits("retry")
    guest.before("create_checkout_session", lambda: guest.platform(status="cancelled"))
    assert guest.retry() == (400, "RESERVATION_NOT_PAYABLE")
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def cancelled_by_the_platform_while_the_session_is_closed(guest: Guest) -> None:
    """D-04: the price changes, and then there is nothing to pay any more."""
    assert guest.pay_now() == (201, "1")
    guest.platform(total_amount=50_000)
    guest.before("expire_checkout_sessions", lambda: guest.platform(status="cancelled"))
    assert guest.come_back() == (200, "pending")
    assert guest.ended() == "SUCCEEDED"


@path(released(f"{OPENED} {VERIFIED} {CLOSED} {RELEASED}"))
def cancelled_by_the_platform_while_it_is_released(guest: Guest) -> None:
    """D-33/34: the dates are free once, whoever asks first."""
    assert guest.pay_now() == (201, "1")
    guest.before("release_hold", lambda: guest.platform(status="cancelled"))
    assert guest.cancel() == (200, "expired")


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}", reservation="cancelled"))
def cancelled_by_the_platform_after_the_confirmation(guest: Guest) -> None:
    """The state finds its work done, whatever the platform did since: the money stays the booking's."""
    assert guest.pay_now() == (201, "1")
    guest.aws_fails("lambda.Invoke", "unanswered", about="confirm-reservation")
    guest.after("confirm_reservation", lambda: guest.platform(status="cancelled"))
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{OPENED} {VERIFIED} {CONFIRMED}", captures=[(50_000, "EUR", "booking")]))
def repriced_before_the_session(guest: Guest) -> None:
    """D-06: what is asked for is what the booking costs."""
    guest.before("create_checkout_session", lambda: guest.platform(total_amount=50_000))
    assert guest.pay_now() == (201, "1")
    assert guest.payment()["amount"] == 50_000
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    confirmed(
        f"{OPENED} {VERIFIED} {CLOSED} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}",
        sessions=["expired", "complete"],
        captures=[(50_000, "EUR", "booking")],
        attempts=["closed", "paid"],
    )
)
def repriced_while_a_session_is_open(guest: Guest) -> None:
    """D-06: a session at the old price is closed at the next look."""
    assert guest.pay_now() == (201, "1")
    guest.platform(total_amount=50_000)
    assert guest.come_back() == (200, "pending")
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


REPRICED: dict[str, Any] = {
    "sessions": ["complete", "complete"],
    "captures": [UNAPPLIED, (50_000, "EUR", "booking")],
    "attempts": ["paid", "paid"],
    "refunds": [REFUNDED],
}


@path(
    confirmed(f"{OPENED} {VERIFIED} {HANDED_OVER} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}", **REPRICED),
)
def repriced_while_the_guest_pays(guest: Guest) -> None:
    """D-06: the old price is given back, the new one may be paid."""
    assert guest.pay_now() == (201, "1")
    guest.before("verify_payment", lambda: guest.platform(total_amount=50_000))
    assert guest.pay() == "paid"
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(confirmed(f"{LOST} {FAILED} {OPENED_AGAIN} {VERIFIED} {CONFIRMED}", **REPRICED))
def repriced_before_the_confirmation(guest: Guest) -> None:
    """D-06: the transaction itself compares the amounts."""
    assert guest.pay_now() == (201, "1")
    guest.before("confirm_reservation", lambda: guest.platform(total_amount=50_000))
    assert guest.pay() == "paid"
    guest.waits("retry")
    assert guest.retry() == (201, "2")
    assert guest.pay() == "paid"
    assert guest.ended() == "SUCCEEDED"


@path(
    released(
        " | ".join(
            [f"{OPENED} {VERIFIED} {CLOSED} ReleaseHold {CALLED_A_PERSON}"]
            + 3 * [f"RecordPayment {VERIFIED} ReleaseHold {CALLED_A_PERSON}"]
        ),
        reservation="confirmed",
        payment="pending",
        nights="booked",
        failures=4 * ["BookedElsewhere"],
    )
)
def confirmed_by_somebody_else(guest: Guest) -> None:
    """D-15: a booking confirmed without our payment is neither released nor taken for paid; a person looks at it."""
    assert guest.pay_now() == (201, "1")
    guest.platform(status="confirmed")
    assert guest.come_back() == (200, "pending")
    assert guest.ended() == "FAILED"
    until(lambda: "PaymentRestartsExhausted" in guest.notified(), "the last replacement to end the same way")
    assert guest.notified().count("BookedElsewhere") == 4


# The tests.


@pytest.mark.parametrize("story", path, ids=lambda story: story.name)
def test_path(story: Story, run: Run) -> None:
    played = run.played[story.name]
    played.story.result()
    assert played.ending == story.ending
    assert played.unused == []


def test_no_secret_token_card_or_address_is_logged_or_passed_on(run: Run) -> None:
    assert run.leaks == []
