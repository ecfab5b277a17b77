"""One booking on a running local stack: what guest, operators, Stripe and booking platform do about it."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import requests

from tests.harness.booking_reader import BookingReader, Json
from tests.harness.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.harness.fault_injection import BookingFaults
    from tests.harness.running_stack import Answer, RunningStack

VISA, CHALLENGED = "4242424242424242", "4000002500003155"
DECLINED, NO_FUNDS = "4000000000000002", "4000000000009995"
REFUND_FAILS_LATER, REFUND_PENDING = "4000000000005126", "4000000000007726"


class BookingDriver(BookingReader):
    """`session` and `checkout_url`: the Checkout Session that the guest was offered last."""

    def __init__(self, stack: "RunningStack", reservation: Json) -> None:
        super().__init__(stack, reservation)
        self.session, self.checkout_url = "", ""

    @property
    def faults(self) -> "BookingFaults":
        return self.stack.faults.of[self.id]

    # The guest and the operators, over HTTP.

    def call(self, method: str, path: str, body: Json | None = None, **options: Any) -> "Answer":
        """Call a path under `/api/payments/` as the guest, or with another `token`."""
        return self.stack.call(method, path, options.pop("token", self.token), body, **options)

    def _call_until_done(self, path: str, body: Json | None = None) -> "Answer":
        """Repeat the call while the answer is 202; then a session that is open (200) counts as created (201)."""
        answer = self.call("POST", path, body)
        if answer.status != HTTPStatus.ACCEPTED:
            return answer

        def done() -> "Answer | None":
            repeated = self.call("POST", path, body)
            return None if repeated.status == HTTPStatus.ACCEPTED else repeated

        late = wait_until(done, f"{path} of {self.id} to be answered")
        return late._replace(status=HTTPStatus.CREATED) if "checkout_session_id" in late.body else late

    def pay_now(self) -> "Answer":
        """Press "Pay now", as often as it takes to get an answer other than 202."""
        return self._offered(self._call_until_done("checkout-session", {"reservation_id": self.id}))

    def pay_now_once(self) -> "Answer":
        """Press "Pay now" once, whatever the answer."""
        return self._offered(self.call("POST", "checkout-session", {"reservation_id": self.id}))

    def retry(self) -> "Answer":
        return self._offered(self._call_until_done(f"{self.id}/retry"))

    def _offered(self, answer: "Answer") -> "Answer":
        self.session = answer.body.get("checkout_session_id", self.session)
        self.checkout_url = answer.body.get("checkout_url", self.checkout_url)
        return answer

    def cancel(self) -> "Answer":
        """Cancel a booking that is not paid."""
        return self._call_until_done(f"{self.id}/cancel")

    def cancel_in_background(self) -> "Future[Answer]":
        """Request it, and let the workflow go on while the guest waits for the release."""
        answer = self.stack.in_background(self.cancel)
        wait_until(lambda: "cancel_requested_at" in self.payment, "the cancel request")
        return answer

    def return_from_stripe(self) -> "Answer":
        """Read the status as the page does that the guest comes back to: this refreshes the workflow."""
        return self.call("GET", f"{self.id}/status?session_id={self.session}")

    def status(self) -> Json:
        answer = self.call("GET", f"{self.id}/status")
        assert answer.status == HTTPStatus.OK, answer
        return answer.body

    def refund(self, **body: Any) -> "Answer":
        """Cancel a stay that is paid."""
        return self.call("POST", f"{self.id}/refund", body or None)

    def refund_by_operator(self, amount: int) -> "Answer":
        """Cancel a stay that is paid, with any amount."""
        body = {"kind": "cancellation", "amount": amount}
        return self.call("POST", f"{self.id}/refund", body, token=self.stack.operator)

    def refund_goodwill(self, amount: int, *, key: str = "one") -> "Answer":
        body = {"kind": "goodwill", "amount": amount}
        headers = {"Idempotency-Key": key}
        return self.call("POST", f"{self.id}/refund", body, token=self.stack.operator, headers=headers)

    def resolve(self, refund_id: str, answer: str, **body: Any) -> "Answer":
        """Answer, as an operator, what becomes of a refund that failed."""
        path = f"{self.id}/refunds/{refund_id}/resolution"
        return self.call("POST", path, {"answer": answer, **body}, token=self.stack.operator)

    def grant_attempt(self) -> "Answer":
        return self.call("POST", f"{self.id}/attempts", token=self.stack.operator)

    # At Stripe.

    def pay(self, card: str = VISA) -> str:
        """Pay in the session offered last: `paid`, `declined`, `challenge` or `refused`."""
        return self.stack.stripe.pay(self.session, card).kind

    def pay_to_the_end(self) -> None:
        """Pay, and wait until the workflow has succeeded."""
        assert self.pay() == "paid"
        assert self.wait_for_end().status == "SUCCEEDED"

    def pay_on_page(self, card: str = VISA) -> int:
        """The same over HTTP, as a browser does; the answer's status is 303 when the card has paid."""
        return self._post_page("", {"card_number": card})

    def pass_challenge(self) -> int:
        return self._post_page("/challenge", {"outcome": "pass"})

    def _post_page(self, path: str, form: dict[str, str]) -> int:
        url = f"{self.checkout_url}{path}"
        return requests.post(url, data=form, allow_redirects=False, timeout=PATIENCE).status_code

    def force_payment(self, session: str = "", **money: Any) -> str:
        """Pay a session whatever its state; the PaymentIntent's id."""
        return str(self.stack.stripe.force_payment(session or self.session, **money)["id"])

    @property
    def session_intent(self) -> str:
        """The PaymentIntent of the session offered last."""
        return str(self.stack.stripe.get("checkout.session", self.session)["payment_intent"])

    def expire_at_stripe(self) -> None:
        self.stack.stripe.expire_session(self.session)

    def start_processing(self, *, session_status: Literal["open", "complete"] = "open") -> str:
        """Pay by a method that takes its time; the PaymentIntent's id."""
        return self.stack.stripe.start_processing(self.session, session_status=session_status)

    # Time, for the reconciler.

    def make_due(self, replaced: str = "") -> None:
        """Let the time come at which the payment is due, and that of a replacement: `payment`, or the refund's id."""
        past = "2026-01-01T00:00:00.000Z"
        if replaced:
            self.set_stored("payments", f"replacements.{replaced}.start_at", past)
        self.set_stored("payments", "due_at", past)

    def start_replacement(self, number: int, *, of: str = "payment") -> None:
        """Wait until the next replacement of an execution is planned, and let the reconciler start it."""

        def planned() -> bool:
            newest: Json = self.payment["replacements"].get(of, {})
            return newest.get("number") == number

        wait_until(planned, f"the plan for replacement {number} of {self.id}")
        self.make_due(of)
        kind = "replacement_started" if of == "payment" else "refund_replacement_started"
        assert self.stack.admin.reconcile()[kind] == 1

    # Webhooks.

    def release_webhooks(self, containing: str = "") -> None:
        """Deliver the events that were held, oldest first; only those that contain a text."""
        self.stack.faults.release_webhooks(self.id, containing=containing)

    # The booking platform.

    def change_reservation(self, *, status: str | None = None, total_amount: int | None = None) -> None:
        self.stack.admin.change_reservation(self.id, status=status, total_amount=total_amount)

    def lose_night(self) -> None:
        """Give the first night to another booking."""
        self.set_stored("availability", "reservation_id", "RES-of-another")

    def set_stored(self, table: Literal["payments", "reservations", "availability"], path: str, value: Any) -> None:
        """Overwrite one value of an item."""
        keys = {
            "payments": {"payment_id": self.payment_id},
            "reservations": {"reservation_id": self.id},
            "availability": {"date": self.nights[0]},
        }
        names = {f"#n{number}": name for number, name in enumerate(path.split("."))}
        self.stack.table(table).update_item(
            Key=keys[table],
            UpdateExpression=f"SET {'.'.join(names)} = :value",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":value": value},
        )
