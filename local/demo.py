"""The stories that `python -m local demo` tells: each plays over HTTP, and says where the money and the dates end."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import requests

from local.stack import LocalStack

# What takes half an hour, a day and half a minute in earnest.
CONFIG: Mapping[str, str | int] = {"checkoutWindowSeconds": 5, "holdSeconds": 22, "stripeRetrySeconds": 1}
TIMEOUT_SECONDS = 40
PROPERTY_TIME_ZONE = "Europe/Madrid"

VISA, DECLINED = "4242424242424242", "4000000000000002"
REFUND_FAILS_LATER, REFUND_PENDING = "4000000000005126", "4000000000007726"

type Json = dict[str, Any]


class StoryError(Exception):
    """A story did not go as it should."""


class Story:
    """One booking, its guest, and what the local stack knows of them."""

    def __init__(self, url: str, reservation: Json) -> None:
        self.url = url
        self._http = requests.Session()
        reservation = self.local("POST", "reservations", reservation)
        self.id: str = reservation["reservation_id"]
        self.nights = [reservation["check_in"]]
        self._token = reservation["guest_token"]
        euros = f"EUR {reservation['total_amount'] / 100:.2f}"
        self.tell(f"a guest holds {reservation['check_in']} to {reservation['check_out']} for {euros}: {self.id}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def tell(self, text: str) -> None:
        print(f"    {text}", flush=True)

    def local(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = self._http.request(method, f"{self.url}/local/{path}", json=body, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def api(self, method: str, path: str, body: Json | None = None, *, token: str | None = None) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {token or self._token}"}
        answer = self._http.request(
            method, f"{self.url}/api/payments/{path}", json=body, headers=headers, timeout=TIMEOUT_SECONDS
        )
        return answer.status_code, answer.json()

    def press_pay_now(self, *expected: int) -> Json:
        status, answer = self.api("POST", "checkout-session", {"reservation_id": self.id})
        what = answer.get("error_code") or f"attempt {answer.get('attempt_number')}, session open"
        self.tell(f"the guest presses Pay now → {status} {what}")
        self.expect("the answer to Pay now", status, *(expected or (201,)))
        return answer

    def retry(self) -> Json:
        status, answer = self.api("POST", f"{self.id}/retry")
        self.tell(f"the guest tries again → {status} attempt {answer.get('attempt_number')}")
        self.expect("the answer to retry", status, 201)
        return answer

    def pay(self, session: Json, card: str = VISA) -> None:
        answer = self._http.post(
            session["checkout_url"], data={"card_number": card}, allow_redirects=False, timeout=TIMEOUT_SECONDS
        )
        outcome = {303: "paid", 402: "declined"}.get(answer.status_code, f"refused ({answer.status_code})")
        self.tell(f"the guest pays at Stripe with the card ending in {card[-4:]} → {outcome}")
        self.expect("the pay page's answer", answer.status_code, 402 if card == DECLINED else 303)

    def execution(self) -> Json:
        found: Json = self.local("GET", f"executions/{self.id}")
        return found

    def wait(self, state: str) -> None:
        """Until the workflow waits in this state."""
        self.wait_for(lambda: self.execution().get("waiting_in") == state, f"{self.id} to wait in {state}")
        self.tell(f"the workflow waits in {state}")

    def wait_for(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not check():
            if time.monotonic() > deadline:
                raise StoryError(f"waited {TIMEOUT_SECONDS} s in vain for {what}; {self.execution()}")
            time.sleep(0.1)

    def refunds(self) -> dict[str, Json]:
        found: dict[str, Json] = self.local("GET", f"payments/{self.id}")["refunds"]
        return found

    def ledger(self) -> Json:
        """The payment item, its ledger told."""
        item: Json = self.local("GET", f"payments/{self.id}")
        for refund_id, entry in item["refunds"].items():
            why = f" ({entry['failure_reason']})" if "failure_reason" in entry else ""
            self.tell(f"ledger: {refund_id} {entry['kind']} EUR {entry['amount'] / 100:.2f} {entry['status']}{why}")
        if not item["refunds"]:
            self.tell("ledger: nothing")
        return item

    def expect(self, what: str, actual: object, *expected: object) -> None:
        if actual not in expected:
            raise StoryError(f"{what} is {actual}, should be {' or '.join(map(str, expected))}")

    def end(self, *, states: str, reservation: str, payment: str, dates: str) -> None:
        """The end of the story, told and compared; `states` with a space between them."""
        self.wait_for(lambda: self.execution()["status"] != "RUNNING", f"{self.id} to end")
        execution = self.execution()
        self.tell("states: " + " → ".join(execution["visited"]))
        item = self.local("GET", f"payments/{self.id}")
        kept = sum(capture["amount"] for capture in item["captures"].values())
        actual = {
            "reservation": self.local("GET", f"reservations/{self.id}")["status"],
            "payment": item["status"],
            "dates": self.local("GET", f"availability/{self.nights[0]}")["status"],
        }
        self.tell(f"money: EUR {kept / 100:.2f} taken, payment {actual['payment']}")
        self.tell(f"dates: {actual['dates']}, reservation {actual['reservation']}")
        self.expect("the execution", execution["status"], "SUCCEEDED")
        self.expect("the path", " ".join(execution["visited"]), states)
        self.expect("the end", actual, {"reservation": reservation, "payment": payment, "dates": dates})


def paid_at_once(story: Story) -> None:
    story.pay(story.press_pay_now())
    story.end(
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ConfirmReservation "
        "AnnouncePayment PaymentConfirmed",
        reservation="confirmed",
        payment="completed",
        dates="booked",
    )


def declined_expired_retried_paid(story: Story) -> None:
    story.pay(story.press_pay_now(), DECLINED)
    story.wait("AwaitRetry")
    story.pay(story.retry())
    story.end(
        states="RecordPayment CreateCheckoutSession AwaitPayment ExpireCheckoutSessions NextStep? "
        "RecordFailedAttempt AwaitRetry RetrySignal? CreateCheckoutSession AwaitPayment VerifyPayment NextStep? "
        "ConfirmReservation AnnouncePayment PaymentConfirmed",
        reservation="confirmed",
        payment="completed",
        dates="booked",
    )


def paid_in_the_last_second(story: Story) -> None:
    session = story.press_pay_now()
    story.tell("Stripe's webhooks are held up")
    story.local("POST", "stripe/webhooks", {"mode": "hold"})
    try:
        story.pay(session)
        story.end(
            states="RecordPayment CreateCheckoutSession AwaitPayment ExpireCheckoutSessions NextStep? "
            "ConfirmReservation AnnouncePayment PaymentConfirmed",
            reservation="confirmed",
            payment="completed",
            dates="booked",
        )
    finally:
        story.local("POST", "stripe/webhooks", {"mode": "deliver"})
        story.local("POST", "stripe/webhooks/release")


def three_attempts_then_released(story: Story) -> None:
    story.pay(story.press_pay_now(), DECLINED)
    story.wait("AwaitRetry")
    for _ in range(2):
        story.pay(story.retry(), DECLINED)
        story.wait("AwaitRetry")
    status, answer = story.api("POST", f"{story.id}/retry")
    story.tell(f"the guest tries a fourth time → {status} {answer['error_code']}")
    story.expect("the fourth try", answer["error_code"], "ATTEMPTS_EXHAUSTED")
    attempt = "CreateCheckoutSession AwaitPayment ExpireCheckoutSessions NextStep? RecordFailedAttempt AwaitRetry"
    story.end(
        states=f"RecordPayment {attempt} RetrySignal? {attempt} RetrySignal? {attempt} ExpireCheckoutSessions "
        "NextStep? ReleaseHold AnnounceRelease HoldReleased",
        reservation="expired",
        payment="expired",
        dates="available",
    )


def stripe_down_then_paid(story: Story) -> None:
    story.tell("Stripe is down")
    story.local("POST", "stripe/faults", {"operation": "checkout.sessions.create", "kind": "rate_limit", "times": 100})
    story.press_pay_now(503, 202)
    story.wait("AwaitRetry")
    story.tell("Stripe recovers")
    story.local("DELETE", "stripe/faults")
    story.pay(story.press_pay_now())
    story.end(
        states="RecordPayment CreateCheckoutSession RecordFailedAttempt AwaitRetry RetrySignal? CreateCheckoutSession "
        "AwaitPayment VerifyPayment NextStep? ConfirmReservation AnnouncePayment PaymentConfirmed",
        reservation="confirmed",
        payment="completed",
        dates="booked",
    )


def cancelled_before_paying(story: Story) -> None:
    story.press_pay_now()
    status, _ = story.api("POST", f"{story.id}/cancel")
    story.tell(f"the guest cancels → {status}")
    story.end(
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ExpireCheckoutSessions "
        "NextStep? ReleaseHold AnnounceRelease HoldReleased",
        reservation="cancelled",
        payment="expired",
        dates="available",
    )


# Refunds. EUR 450.01, so that half of it is no whole number of cents.

PRICE = 45_001
PAID = (
    "RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ConfirmReservation AnnouncePayment "
    "PaymentConfirmed"
)
TO_STRIPE = "AlreadyFailed? ReserveRefund CreateRefund RefundStatus?"
TO_A_PERSON = "RecordRefundFailure NotifyOperators AwaitOperator"
LOOK = "AwaitRefundSettlement CheckRefund RefundStatus?"
BACK = "RecordRefund AnnounceRefund RefundCompleted"


class Paid:
    """The story of a booking that is paid, up to the end of its refunds."""

    def __init__(self, story: Story, card: str = VISA) -> None:
        self.story = story
        self.cancellation = f"PAY-{story.id}-cancellation"
        story.pay(story.press_pay_now(), card)
        story.wait_for(lambda: story.execution()["status"] == "SUCCEEDED", "the booking to be confirmed")
        story.tell("payment workflow: " + " → ".join(story.execution()["visited"]))
        story.expect("the path", " ".join(story.execution()["visited"]), PAID)

    def cancel(self, *, status: int, **expected: object) -> Json:
        code, answer = self.story.api("POST", f"{self.story.id}/refund")
        told = " ".join(str(answer[name]) for name in ("error_code", "status", "amount", "details") if name in answer)
        self.story.tell(f"the guest cancels the stay → {code} {told}")
        self.story.expect("the answer to the cancellation", code, status)
        for name, value in expected.items():
            self.story.expect(name, answer.get(name), value)
        return answer

    def resolve(self, answer: str) -> None:
        operator = self.story.local("POST", "tokens", {"groups": ["operators"]})["token"]
        path = f"{self.story.id}/refunds/{self.cancellation}/resolution"
        code, resolved = self.story.api("POST", path, {"answer": answer}, token=operator)
        self.story.tell(f"an operator answers {answer} → {code} {resolved.get('status')}")
        self.story.expect("the answer to the operator", code, 200)

    def refund(self, name: str) -> Json:
        """The refund's execution; empty before it has begun."""
        started = self.story.local("GET", "executions?workflow=refund")
        if name not in {execution["name"] for execution in started}:
            return {}
        found: Json = self.story.local("GET", f"executions/{name}?workflow=refund")
        return found

    def wait_for_a_person(self, name: str) -> None:
        self.story.wait_for(lambda: self.refund(name).get("waiting_in") == "AwaitOperator", f"{name} to need a person")
        (told, *_) = [sent for sent in self.story.local("GET", "notifications") if self.story.id in sent["message"]]
        self.story.tell(f"the operators are told: {told['message'].partition('. ')[0]}")

    def wait_for_end(self, name: str) -> None:
        self.story.wait_for(lambda: self.refund(name).get("status") == "SUCCEEDED", f"{name} to end")

    def end(self, executions: Mapping[str, str], *, reservation: str, payment: str, dates: str, refunded: int) -> None:
        """The end, told and compared; `executions`: for each refund's execution the states it visited."""
        for name, states in executions.items():
            self.wait_for_end(name)
            visited = self.refund(name)["visited"]
            self.story.tell(f"refund workflow {name}: " + " → ".join(visited))
            # Each of Stripe's events about a pending refund causes a look.
            path = " ".join(visited).replace(f"{LOOK} {LOOK}", LOOK)
            self.story.expect("the path", path, states)
        item = self.story.ledger()
        actual = {
            "reservation": self.story.local("GET", f"reservations/{self.story.id}")["status"],
            "payment": item["status"],
            "dates": self.story.local("GET", f"availability/{self.story.nights[0]}")["status"],
            "refunded": item.get("refund_amount", 0),
        }
        self.story.tell(f"payment {actual['payment']}, dates {actual['dates']}, reservation {actual['reservation']}")
        wanted = {"reservation": reservation, "payment": payment, "dates": dates, "refunded": refunded}
        self.story.expect("the end", actual, wanted)


def cancelled_20_days_ahead(story: Story) -> None:
    paid = Paid(story)
    paid.cancel(status=200, amount=45_001, refund_policy="full_refund")
    paid.end(
        {paid.cancellation: f"{TO_STRIPE} {BACK}"},
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=45_001,
    )


def cancelled_10_days_ahead(story: Story) -> None:
    paid = Paid(story)
    paid.cancel(status=200, amount=22_500, refund_policy="partial_refund_50")
    paid.end(
        {paid.cancellation: f"{TO_STRIPE} {BACK}"},
        reservation="cancelled",
        payment="partially_refunded",
        dates="available",
        refunded=22_500,
    )


def cancelled_3_days_ahead(story: Story) -> None:
    paid = Paid(story)
    answer = paid.cancel(status=400, error_code="REFUND_NOT_ALLOWED")
    story.expect("the policy", answer["details"]["policy"], "no_refund")
    paid.end({}, reservation="confirmed", payment="completed", dates="booked", refunded=0)


def paid_after_the_release(story: Story) -> None:
    session = story.press_pay_now()["checkout_session_id"]
    status, _ = story.api("POST", f"{story.id}/cancel")
    story.tell(f"the guest cancels before paying → {status}")
    late = story.local("POST", f"stripe/sessions/{session}/pay")["id"]
    story.tell("Stripe takes the money all the same, and says so now")
    story.wait_for(lambda: f"REF-{late}" in story.refunds(), "the refund to begin")
    story.wait_for(lambda: story.refunds()[f"REF-{late}"]["status"] == "succeeded", "the money to be back")
    execution = story.local("GET", f"executions/REF-{late}?workflow=refund")
    story.tell("refund workflow: " + " → ".join(execution["visited"]))
    story.expect("what went back", story.ledger()["refund_amount"], PRICE)
    story.end(
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment NextStep? ExpireCheckoutSessions "
        "NextStep? ReleaseHold AnnounceRelease HoldReleased",
        reservation="cancelled",
        payment="expired",
        dates="available",
    )


def refund_pending_then_done(story: Story) -> None:
    paid = Paid(story, REFUND_PENDING)
    paid.cancel(status=200, amount=PRICE, refund_policy="full_refund")
    paid.end(
        {paid.cancellation: f"{TO_STRIPE} {LOOK} {BACK}"},
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=PRICE,
    )


def refund_fails_and_is_tried_again(story: Story) -> None:
    paid = Paid(story)
    story.tell("Stripe's refunds fail: the account has too little on it")
    story.local("PUT", "stripe/refunds", {"status": "failed"})
    try:
        paid.cancel(status=202, amount=PRICE)
    finally:
        story.local("PUT", "stripe/refunds", {"status": None})
    paid.wait_for_a_person(paid.cancellation)
    paid.resolve("retry")
    paid.end(
        {paid.cancellation: f"{TO_STRIPE} {TO_A_PERSON} OperatorAnswer? CreateRefund RefundStatus? {BACK}"},
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=PRICE,
    )


def refund_taken_back_and_settled_elsewhere(story: Story) -> None:
    paid = Paid(story, REFUND_FAILS_LATER)
    taken_back = "failed-" + paid.cancel(status=200, amount=PRICE)["stripe_refund_id"]
    story.tell("a moment later the guest's bank sends the money back to Stripe")
    paid.wait_for_a_person(taken_back)
    story.ledger()
    paid.resolve("settled_elsewhere")
    paid.end(
        {
            paid.cancellation: f"{TO_STRIPE} {BACK}",
            taken_back: f"AlreadyFailed? {TO_A_PERSON} OperatorAnswer? RecordSettledElsewhere AnnounceRefund "
            "RefundCompleted",
        },
        reservation="cancelled",
        payment="refunded",
        dates="available",
        refunded=PRICE,
    )


STORIES: dict[str, Callable[[Story], None]] = {
    "paid at once": paid_at_once,
    "declined, the session expires, retried, paid": declined_expired_retried_paid,
    "paid in the last second, while the workflow expires the session": paid_in_the_last_second,
    "three attempts, the hold is released, the dates are free again": three_attempts_then_released,
    "Stripe is down at Pay now, recovers, paid": stripe_down_then_paid,
    "cancelled before paying, the dates are free again": cancelled_before_paying,
    "paid, cancelled 20 days ahead: everything comes back": cancelled_20_days_ahead,
    "paid, cancelled 10 days ahead: half of it comes back, rounded down": cancelled_10_days_ahead,
    "paid, cancelled 3 days ahead: nothing comes back, the stay stays": cancelled_3_days_ahead,
    "paid after the release: everything comes back by itself": paid_after_the_release,
    "a refund is pending, then it is done": refund_pending_then_done,
    "a refund fails, an operator has it tried again": refund_fails_and_is_tried_again,
    "a refund is taken back, an operator settles it by another way": refund_taken_back_and_settled_elsewhere,
}

# How many days before check-in a story plays, where that decides.
DAYS_AHEAD = {cancelled_20_days_ahead: 20, cancelled_10_days_ahead: 10, cancelled_3_days_ahead: 3}


def _reservation(play: Callable[[Story], None]) -> Json:
    """What the story's guest holds."""
    if play not in DAYS_AHEAD:
        return {"total_amount": PRICE}
    check_in = datetime.now(ZoneInfo(PROPERTY_TIME_ZONE)).date() + timedelta(days=DAYS_AHEAD[play])
    return {"total_amount": PRICE, "check_in": check_in.isoformat()}


def run(
    *,
    port: int = 0,
    config: Mapping[str, str | int] | None = None,
    dynamodb: str | None = None,
    pulumi: bool = False,
) -> int:
    """Every story, one after the other: 0 if each ended as it should."""
    failed = []
    with LocalStack(port=port, config={**CONFIG, **(config or {})}, dynamodb=dynamodb, pulumi=pulumi) as stack:
        print(f"the system runs at {stack.url}, its functions log to {stack.log}\n")
        for number, (title, play) in enumerate(STORIES.items(), 1):
            print(f"{number}. {title}")
            try:
                with Story(stack.url, _reservation(play)) as story:
                    play(story)
            except (StoryError, requests.RequestException) as error:
                failed.append(title)
                print(f"    NOT AS IT SHOULD BE: {error}")
            print(flush=True)
    print(f"{len(STORIES) - len(failed)} of {len(STORIES)} stories ended as they should")
    return 1 if failed else 0
