"""Scenarios of a refund: by how long before check-in, late payments, refunds that are pending or fail."""

from collections.abc import Mapping

from local.demo.checkout_demo import PAID
from local.demo.demo_booking import VISA, DemoBooking, Json

PRICE = 45_001  # cents: half of it is no whole number
REFUND_FAILS_LATER, REFUND_PENDING = "4000000000005126", "4000000000007726"

# Parts of the paths that the refund workflow takes.
CREATED = "AlreadyFailed? ReserveRefund CreateRefund RefundStatus?"
CHECKED = "AwaitRefundSettlement CheckRefund RefundStatus?"
FAILED = "RecordRefundFailure NotifyOperators AwaitOperator"
COMPLETED = "RecordRefund AnnounceRefund RefundCompleted"


class PaidDemoBooking:
    """A booking that is paid, and its refunds; `cancellation` is the refund that cancelling the stay starts."""

    def __init__(self, booking: DemoBooking, card: str = VISA) -> None:
        self.booking = booking
        self.cancellation = f"PAY-{booking.id}-cancellation"
        booking.pay(booking.press_pay_now(), card)
        booking.wait_until(lambda: booking.execution()["status"] == "SUCCEEDED", "the booking to be confirmed")
        booking.say("payment workflow: " + " → ".join(booking.execution()["visited"]))
        booking.expect("the path", " ".join(booking.execution()["visited"]), PAID)

    def cancel(self, *, status: int, **expected: object) -> Json:
        code, answer = self.booking.api("POST", f"{self.booking.id}/refund")
        shown = " ".join(str(answer[name]) for name in ("error_code", "status", "amount", "details") if name in answer)
        self.booking.say(f"the guest cancels the stay → {code} {shown}")
        self.booking.expect("the answer to the cancellation", code, status)
        for name, value in expected.items():
            self.booking.expect(name, answer.get(name), value)
        return answer

    def resolve(self, answer: str) -> None:
        operator = self.booking.local("POST", "tokens", {"groups": ["operators"]})["token"]
        path = f"{self.booking.id}/refunds/{self.cancellation}/resolution"
        code, resolved = self.booking.api("POST", path, {"answer": answer}, token=operator)
        self.booking.say(f"an operator answers {answer} → {code} {resolved.get('status')}")
        self.booking.expect("the answer to the operator", code, 200)

    def refund_execution(self, name: str) -> Json:
        """The refund's execution; empty before it has started."""
        started = self.booking.local("GET", "executions?workflow=refund")
        if name not in {execution["name"] for execution in started}:
            return {}
        return dict(self.booking.local("GET", f"executions/{name}?workflow=refund"))

    def wait_for_operator(self, name: str) -> None:
        """Waits until this refund waits for an operator."""
        self.booking.wait_until(
            lambda: self.refund_execution(name).get("waiting_in") == "AwaitOperator", f"{name} to wait for an operator"
        )
        (sent, *_) = [one for one in self.booking.local("GET", "notifications") if self.booking.id in one["message"]]
        self.booking.say(f"the operators are notified: {sent['message'].partition('. ')[0]}")

    def _wait_for_end(self, name: str) -> None:
        self.booking.wait_until(lambda: self.refund_execution(name).get("status") == "SUCCEEDED", f"{name} to end")

    def expect_end(
        self, refunds: Mapping[str, str], *, reservation: str, payment: str, dates: str, refunded: int
    ) -> None:
        """Waits for the refunds to end, and compares; `refunds`: by execution, its states separated by spaces."""
        for name, states in refunds.items():
            self._wait_for_end(name)
            visited = self.refund_execution(name)["visited"]
            self.booking.say(f"refund workflow {name}: " + " → ".join(visited))
            # The workflow checks a pending refund once for each of Stripe's events.
            path = " ".join(visited).replace(f"{CHECKED} {CHECKED}", CHECKED)
            self.booking.expect("the path", path, states)
        item = self.booking.say_refunds()
        actual = {**self.booking.end_state(), "refunded": item.get("refund_amount", 0)}
        self.booking.say(f"payment {actual['payment']}, dates {actual['dates']}, reservation {actual['reservation']}")
        expected = {"reservation": reservation, "payment": payment, "dates": dates, "refunded": refunded}
        self.booking.expect("the end", actual, expected)


def cancelled_20_days_ahead(booking: DemoBooking) -> None:
    paid = PaidDemoBooking(booking)
    paid.cancel(status=200, amount=45_001, refund_policy="full_refund")
    paid.expect_end(
        {paid.cancellation: f"{CREATED} {COMPLETED}"},
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=45_001,
    )


def cancelled_10_days_ahead(booking: DemoBooking) -> None:
    paid = PaidDemoBooking(booking)
    paid.cancel(status=200, amount=22_500, refund_policy="partial_refund_50")
    paid.expect_end(
        {paid.cancellation: f"{CREATED} {COMPLETED}"},
        reservation="cancelled",
        payment="partially_refunded",
        dates="available",
        refunded=22_500,
    )


def cancelled_3_days_ahead(booking: DemoBooking) -> None:
    paid = PaidDemoBooking(booking)
    answer = paid.cancel(status=400, error_code="REFUND_NOT_ALLOWED")
    booking.expect("the policy", answer["details"]["policy"], "no_refund")
    paid.expect_end({}, reservation="confirmed", payment="completed", dates="booked", refunded=0)


def paid_after_the_release(booking: DemoBooking) -> None:
    session = booking.press_pay_now()["checkout_session_id"]
    status, _ = booking.api("POST", f"{booking.id}/cancel")
    booking.say(f"the guest cancels before paying → {status}")
    late = booking.local("POST", f"stripe/sessions/{session}/pay")["id"]
    booking.say("Stripe takes the money all the same, and reports it now")
    refund_id = f"REF-{late}"
    booking.wait_until(lambda: refund_id in booking.payment()["refunds"], "the refund to start")
    booking.wait_until(
        lambda: booking.payment()["refunds"][refund_id]["status"] == "succeeded", "the money to be refunded"
    )
    execution = booking.local("GET", f"executions/{refund_id}?workflow=refund")
    booking.say("refund workflow: " + " → ".join(execution["visited"]))
    booking.expect("the refunded amount", booking.say_refunds()["refund_amount"], PRICE)
    booking.expect_end(
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ExpireCheckoutSessions "
        "NextStep? ReleaseHold AnnounceRelease HoldReleased",
        reservation="cancelled",
        payment="expired",
        dates="available",
    )


def refund_pending_then_completed(booking: DemoBooking) -> None:
    paid = PaidDemoBooking(booking, REFUND_PENDING)
    paid.cancel(status=200, amount=PRICE, refund_policy="full_refund")
    paid.expect_end(
        {paid.cancellation: f"{CREATED} {CHECKED} {COMPLETED}"},
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=PRICE,
    )


def refund_fails_and_is_retried(booking: DemoBooking) -> None:
    paid = PaidDemoBooking(booking)
    booking.say("refunds fail at Stripe: the account's balance is too low")
    booking.local("PUT", "stripe/refunds", {"status": "failed"})
    try:
        paid.cancel(status=202, amount=PRICE)
    finally:
        booking.local("PUT", "stripe/refunds", {"status": None})
    paid.wait_for_operator(paid.cancellation)
    paid.resolve("retry")
    paid.expect_end(
        {paid.cancellation: f"{CREATED} {FAILED} OperatorAnswer? CreateRefund RefundStatus? {COMPLETED}"},
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=PRICE,
    )


def refund_returned_and_settled_elsewhere(booking: DemoBooking) -> None:
    paid = PaidDemoBooking(booking, REFUND_FAILS_LATER)
    returned = "failed-" + paid.cancel(status=200, amount=PRICE)["stripe_refund_id"]
    booking.say("a moment later the guest's bank returns the money to Stripe")
    paid.wait_for_operator(returned)
    booking.say_refunds()
    paid.resolve("settled_elsewhere")
    paid.expect_end(
        {
            paid.cancellation: f"{CREATED} {COMPLETED}",
            returned: f"AlreadyFailed? {FAILED} OperatorAnswer? RecordSettledElsewhere AnnounceRefund RefundCompleted",
        },
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=PRICE,
    )
