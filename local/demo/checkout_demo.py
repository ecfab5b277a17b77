"""Scenarios of a checkout: paid, declined, too late, given back, Stripe down."""

from local.demo.demo_booking import DECLINED, DemoBooking

PAID = (
    "RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ConfirmReservation AnnouncePayment "
    "PaymentConfirmed"
)


def paid_at_once(booking: DemoBooking) -> None:
    booking.pay(booking.press_pay_now())
    booking.expect_end(states=PAID, reservation="confirmed", payment="completed", dates="booked")


def declined_expired_retried_paid(booking: DemoBooking) -> None:
    booking.pay(booking.press_pay_now(), DECLINED)
    booking.wait_in("AwaitRetry")
    booking.pay(booking.retry())
    booking.expect_end(
        states="RecordPayment CreateCheckoutSession AwaitPayment ExpireCheckoutSessions NextStep? "
        "RecordFailedAttempt AwaitRetry RetrySignal? CreateCheckoutSession AwaitPayment VerifyPayment NextStep? "
        "ConfirmReservation AnnouncePayment PaymentConfirmed",
        reservation="confirmed",
        payment="completed",
        dates="booked",
    )


def paid_in_the_last_second(booking: DemoBooking) -> None:
    session = booking.press_pay_now()
    booking.say("Stripe's webhooks are held up")
    booking.local("POST", "stripe/webhooks", {"mode": "hold"})
    try:
        booking.pay(session)
        booking.expect_end(
            states="RecordPayment CreateCheckoutSession AwaitPayment ExpireCheckoutSessions NextStep? "
            "ConfirmReservation AnnouncePayment PaymentConfirmed",
            reservation="confirmed",
            payment="completed",
            dates="booked",
        )
    finally:
        booking.local("POST", "stripe/webhooks", {"mode": "deliver"})
        booking.local("POST", "stripe/webhooks/release")


def three_attempts_then_released(booking: DemoBooking) -> None:
    booking.pay(booking.press_pay_now(), DECLINED)
    booking.wait_in("AwaitRetry")
    for _ in range(2):
        booking.pay(booking.retry(), DECLINED)
        booking.wait_in("AwaitRetry")
    status, answer = booking.api("POST", f"{booking.id}/retry")
    booking.say(f"the guest tries a fourth time → {status} {answer['error_code']}")
    booking.expect("the fourth try", answer["error_code"], "ATTEMPTS_EXHAUSTED")
    attempt = "CreateCheckoutSession AwaitPayment ExpireCheckoutSessions NextStep? RecordFailedAttempt AwaitRetry"
    booking.expect_end(
        states=f"RecordPayment {attempt} RetrySignal? {attempt} RetrySignal? {attempt} HoldEnding? "
        "ExpireCheckoutSessions NextStep? ReleaseHold AnnounceRelease HoldReleased",
        reservation="expired",
        payment="expired",
        dates="available",
    )


def stripe_down_then_paid(booking: DemoBooking) -> None:
    booking.say("Stripe is down")
    booking.local(
        "POST", "stripe/faults", {"operation": "checkout.sessions.create", "kind": "rate_limit", "times": 100}
    )
    booking.press_pay_now(503, 202)
    booking.wait_in("AwaitRetry")
    booking.say("Stripe recovers")
    booking.local("DELETE", "stripe/faults")
    booking.pay(booking.press_pay_now())
    booking.expect_end(
        states="RecordPayment CreateCheckoutSession RecordFailedAttempt AwaitRetry RetrySignal? CreateCheckoutSession "
        "AwaitPayment VerifyPayment NextStep? ConfirmReservation AnnouncePayment PaymentConfirmed",
        reservation="confirmed",
        payment="completed",
        dates="booked",
    )


def cancelled_before_paying(booking: DemoBooking) -> None:
    booking.press_pay_now()
    status, _ = booking.api("POST", f"{booking.id}/cancel")
    booking.say(f"the guest cancels → {status}")
    booking.expect_end(
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ExpireCheckoutSessions "
        "NextStep? ReleaseHold AnnounceRelease HoldReleased",
        reservation="cancelled",
        payment="expired",
        dates="available",
    )
