"""One booking of the demo: its guest over HTTP, what the local stack knows of it, and the lines to print."""

import shutil
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import requests

TIMEOUT_SECONDS = 40
VISA, DECLINED = "4242424242424242", "4000000000000002"

type Json = dict[str, Any]


class ScenarioFailedError(Exception):
    """A scenario did not end as expected."""


def wrapped(text: str, *, indent: int = 0) -> str:
    """The text in lines that fit the terminal's width."""
    return textwrap.fill(
        text,
        width=max(shutil.get_terminal_size().columns, 40),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


class DemoBooking:
    """A reservation with its dates held; `reservation` is the body of `POST /local/reservations`.

    `lines`: what happened, to be printed. Once `stopping` is set, the next request raises ScenarioFailedError.
    """

    def __init__(self, url: str, reservation: Json, stopping: threading.Event) -> None:
        self.url = url
        self._stopping = stopping
        self.lines: list[str] = []
        self._http = requests.Session()
        reservation = self.local("POST", "reservations", reservation)
        self.id: str = reservation["reservation_id"]
        self.first_night: str = reservation["check_in"]
        self._token = reservation["guest_token"]
        euros = f"EUR {reservation['total_amount'] / 100:.2f}"
        self.say(f"a guest holds {reservation['check_in']} to {reservation['check_out']} for {euros}: {self.id}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def say(self, text: str) -> None:
        self.lines.append(wrapped(text, indent=4))

    def local(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = self._send(method, f"local/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def api(self, method: str, path: str, body: Json | None = None, *, token: str | None = None) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {token or self._token}"}
        answer = self._send(method, f"api/payments/{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        if self._stopping.is_set():
            raise ScenarioFailedError("stopped")
        return self._http.request(method, f"{self.url}/{path}", timeout=TIMEOUT_SECONDS, **options)

    # The guest.

    def press_pay_now(self, *expected: int) -> Json:
        status, answer = self.api("POST", "checkout-session", {"reservation_id": self.id})
        result = answer.get("error_code") or f"attempt {answer.get('attempt_number')}, session open"
        self.say(f"the guest presses Pay now → {status} {result}")
        self.expect("the answer to Pay now", status, *(expected or (201,)))
        return answer

    def retry(self) -> Json:
        status, answer = self.api("POST", f"{self.id}/retry")
        self.say(f"the guest tries again → {status} attempt {answer.get('attempt_number')}")
        self.expect("the answer to the retry", status, 201)
        return answer

    def pay(self, session: Json, card: str = VISA) -> None:
        path = session["checkout_url"].removeprefix(f"{self.url}/")
        answer = self._send("POST", path, data={"card_number": card}, allow_redirects=False)
        outcome = {303: "paid", 402: "declined"}.get(answer.status_code, f"refused ({answer.status_code})")
        self.say(f"the guest pays at Stripe with the card ending in {card[-4:]} → {outcome}")
        self.expect("the pay page's answer", answer.status_code, 402 if card == DECLINED else 303)

    # The workflow and the stored data.

    def execution(self) -> Json:
        return dict(self.local("GET", f"executions/{self.id}"))

    def payment(self) -> Json:
        return dict(self.local("GET", f"payments/{self.id}"))

    def end_state(self) -> Json:
        """The statuses of reservation, payment and dates."""
        return {
            "reservation": self.local("GET", f"reservations/{self.id}")["status"],
            "payment": self.payment()["status"],
            "dates": self.local("GET", f"availability/{self.first_night}")["status"],
        }

    def wait_in(self, state: str) -> None:
        """Waits until the payment workflow waits in this state."""
        self.wait_until(lambda: self.execution().get("waiting_in") == state, f"{self.id} to wait in {state}")
        self.say(f"the workflow waits in {state}")

    def wait_until(self, condition: Callable[[], bool], description: str) -> None:
        """Raises ScenarioFailedError when the time is up."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise ScenarioFailedError(f"waited {TIMEOUT_SECONDS} s for {description}; {self.execution()}")
            time.sleep(0.1)

    def say_refunds(self) -> Json:
        """Says the refunds in the payment's ledger; returns the payment."""
        payment = self.payment()
        for refund_id, entry in payment["refunds"].items():
            reason = f" ({entry['failure_reason']})" if "failure_reason" in entry else ""
            self.say(f"ledger: {refund_id} {entry['kind']} EUR {entry['amount'] / 100:.2f} {entry['status']}{reason}")
        if not payment["refunds"]:
            self.say("ledger: nothing")
        return payment

    # Expectations.

    def expect(self, what: str, actual: object, *expected: object) -> None:
        """Raises ScenarioFailedError."""
        if actual not in expected:
            raise ScenarioFailedError(f"{what} is {actual}, expected {' or '.join(map(str, expected))}")

    def expect_end(self, *, states: str, reservation: str, payment: str, dates: str) -> None:
        """Waits for the payment workflow to end, and compares; `states` are separated by spaces."""
        self.wait_until(lambda: self.execution()["status"] != "RUNNING", f"{self.id} to end")
        execution = self.execution()
        self.say("states: " + " → ".join(execution["visited"]))
        captured = sum(capture["amount"] for capture in self.payment()["captures"].values())
        actual = self.end_state()
        self.say(f"money: EUR {captured / 100:.2f} taken, payment {actual['payment']}")
        self.say(f"dates: {actual['dates']}, reservation {actual['reservation']}")
        self.expect("the execution", execution["status"], "SUCCEEDED")
        self.expect("the path", " ".join(execution["visited"]), states)
        self.expect("the end", actual, {"reservation": reservation, "payment": payment, "dates": dates})
