"""The stories that `python -m local demo` tells: each plays over HTTP, and says where the money and the dates end."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import requests

from local.stack import LocalStack

# What takes half an hour, a day and half a minute in earnest.
CONFIG: Mapping[str, str | int] = {"checkoutWindowSeconds": 3, "holdSeconds": 18, "stripeRetrySeconds": 1}
TIMEOUT_SECONDS = 40

VISA, DECLINED = "4242424242424242", "4000000000000002"

type Json = dict[str, Any]


class StoryError(Exception):
    """A story did not go as it should."""


class Story:
    """One booking, its guest, and what the local stack knows of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        reservation = self.local("POST", "reservations", {})
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

    def api(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {self._token}"}
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
        self._until(lambda: self.execution().get("waiting_in") == state, f"{self.id} to wait in {state}")
        self.tell(f"the workflow waits in {state}")

    def _until(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not check():
            if time.monotonic() > deadline:
                raise StoryError(f"waited {TIMEOUT_SECONDS} s in vain for {what}; {self.execution()}")
            time.sleep(0.1)

    def expect(self, what: str, actual: object, *expected: object) -> None:
        if actual not in expected:
            raise StoryError(f"{what} is {actual}, should be {' or '.join(map(str, expected))}")

    def end(self, *, states: str, reservation: str, payment: str, dates: str) -> None:
        """The end of the story, told and compared; `states` with a space between them."""
        self._until(lambda: self.execution()["status"] != "RUNNING", f"{self.id} to end")
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
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment PaymentVerdict? ConfirmReservation "
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
        states="RecordPayment CreateCheckoutSession AwaitPayment ExpireCheckoutSessions PaymentVerdict? "
        "RecordFailedAttempt AwaitRetry RetrySignal? CreateCheckoutSession AwaitPayment VerifyPayment PaymentVerdict? "
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
            states="RecordPayment CreateCheckoutSession AwaitPayment ExpireCheckoutSessions PaymentVerdict? "
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
    attempt = "CreateCheckoutSession AwaitPayment ExpireCheckoutSessions PaymentVerdict? RecordFailedAttempt AwaitRetry"
    story.end(
        states=f"RecordPayment {attempt} RetrySignal? {attempt} RetrySignal? {attempt} ExpireCheckoutSessions "
        "PaymentVerdict? ReleaseHold AnnounceRelease HoldReleased",
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
        "AwaitPayment VerifyPayment PaymentVerdict? ConfirmReservation AnnouncePayment PaymentConfirmed",
        reservation="confirmed",
        payment="completed",
        dates="booked",
    )


def cancelled_before_paying(story: Story) -> None:
    story.press_pay_now()
    status, _ = story.api("POST", f"{story.id}/cancel")
    story.tell(f"the guest cancels → {status}")
    story.end(
        states="RecordPayment CreateCheckoutSession AwaitPayment VerifyPayment PaymentVerdict? ExpireCheckoutSessions "
        "PaymentVerdict? ReleaseHold AnnounceRelease HoldReleased",
        reservation="cancelled",
        payment="expired",
        dates="available",
    )


STORIES: dict[str, Callable[[Story], None]] = {
    "paid at once": paid_at_once,
    "declined, the session expires, retried, paid": declined_expired_retried_paid,
    "paid in the last second, while the workflow expires the session": paid_in_the_last_second,
    "three attempts, the hold is released, the dates are free again": three_attempts_then_released,
    "Stripe is down at Pay now, recovers, paid": stripe_down_then_paid,
    "cancelled before paying, the dates are free again": cancelled_before_paying,
}


def run(*, port: int = 0, config: Mapping[str, str | int] | None = None) -> int:
    """Every story, one after the other: 0 if each ended as it should."""
    failed = []
    with LocalStack(port=port, config={**CONFIG, **(config or {})}) as stack:
        print(f"the system runs at {stack.url}, its functions log to {stack.log}\n")
        for number, (title, play) in enumerate(STORIES.items(), 1):
            print(f"{number}. {title}")
            try:
                with Story(stack.url) as story:
                    play(story)
            except (StoryError, requests.RequestException) as error:
                failed.append(title)
                print(f"    NOT AS IT SHOULD BE: {error}")
            print(flush=True)
    print(f"{len(STORIES) - len(failed)} of {len(STORIES)} stories ended as they should")
    return 1 if failed else 0
