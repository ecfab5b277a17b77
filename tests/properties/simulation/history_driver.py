"""Does to one booking what a random history says, and remembers what came back."""

import contextlib
import json
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any, Literal

from local.fake_stripe import payment_intents
from local.fake_stripe.stripe_errors import StripeError
from tests.harness.booking_driver import VISA
from tests.harness.booking_reader import Json
from tests.harness.running_stack import Answer
from tests.harness.waiting import WaitTimeoutError, wait_until
from tests.properties.simulation.fault_steps import FaultSteps
from tests.properties.simulation.histories import History
from tests.properties.simulation.operator_acts import OperatorActs
from tests.properties.simulation.restores import Restores
from tests.properties.simulation.simulated_stack import HOLD, REFUND_SECONDS, WINDOW, SimulatedStack
from tests.properties.simulation.steps import ACTS, FAULTS, PRICE, Step

ENTRY_SECONDS = 4 * WINDOW  # how long a step waits, at least, for the state in which it is to happen

type Challenge = Literal["passed", "failed", "unresolved"]


class HistoryDriver(OperatorActs, Restores, FaultSteps):
    """One booking; each kind of step is a method.

    `valid_payments`: PaymentIntents of the sessions that were paid while they were open. `withdrawn`: somebody did what
    may cost the booking although it is paid. `steps_done`: how often each kind of step took effect. `faults_ended_at`:
    the end of whatever an execution may have died of.
    """

    def __init__(self, stack: SimulatedStack, history: History) -> None:
        super().__init__(stack, stack.admin.reserve(nights=1))
        stack.leave_out_empty_shards(self.payment_id)
        self.history = history
        hold = history.hold * WINDOW
        self.hold_ends = time.time() + hold
        reserved = datetime.now(UTC) - timedelta(seconds=HOLD - hold)
        self.set_stored("reservations", "created_at", reserved.isoformat())
        self.offered_sessions: list[str] = []
        self.price = PRICE
        self.valid_payments: set[str] = set()
        self.withdrawn = False
        self.requested_refunds: set[str] = set()
        self.unexpected_answers: list[str] = []
        self.steps_done: Counter[str] = Counter()
        self.faults_ended_at = self._entries_end = 0.0

    def play(self, background: ThreadPoolExecutor) -> None:
        self.faults.webhooks = self.history.webhooks
        self.steps_done[f"webhooks: {self.history.webhooks}"] += 1
        running: list[Future[object]] = []
        self._entries_end = max(time.time() + ENTRY_SECONDS, self.hold_ends + 600)
        if "wait_for_stripe" in {step.name for step in self.history.steps}:
            self._entries_end += REFUND_SECONDS + 3600
        for step in self.history.steps:
            time.sleep(step.pause)
            if step.at and step.name in FAULTS:
                self.stack.faults.on_entry[self.id, step.at].append(partial(self._act, step))
            elif step.at:
                running.append(background.submit(self._act_at_entry, step, self._entry(step.at)))
            elif step.in_background:
                running.append(background.submit(self._act, step))
            else:
                self._act(step)
        for future in running:
            future.result()

    def _act(self, step: Step) -> None:
        if step.name in ACTS:
            states = self.stack.faults.states[self.id].values()
            self.stack.faults.pairs.acts.update((step.name, state) for state in states)
        getattr(self, step.name)(*step.args)

    def _entry(self, state: str) -> Event:
        """Set when an execution enters the state, or has entered nothing since."""
        entered = Event()
        if state in self.stack.faults.states[self.id].values():
            entered.set()
        else:
            self.stack.faults.on_entry[self.id, state].append(entered.set)
        return entered

    def _act_at_entry(self, step: Step, entered: Event) -> None:
        if entered.wait(max(self._entries_end - time.time(), 0.0)):
            self._act(step)

    # Over HTTP.

    def call(self, method: str, path: str, body: Json | None = None, **options: Any) -> Answer:
        answer = super().call(method, path, body, **options)
        self.log.append(f"{method} {path.removeprefix(self.id)}: {answer.outcome}")
        unavailable = answer.body.get("error_code") == "STRIPE_UNAVAILABLE"
        if answer.status >= 500 and not self.faults.occurred and not unavailable:
            text = json.dumps(answer.body)
            self.unexpected_answers.append(f"{method} {path} was answered {answer.status} {text}")
        return answer

    def _call_until_done(self, path: str, body: Json | None = None) -> Answer:
        return self.call("POST", path, body)  # a history says itself who asks again

    def _offered(self, answer: Answer) -> Answer:
        if answer.status in {200, 201} and answer.body["checkout_session_id"] not in self.offered_sessions:
            self.offered_sessions.append(answer.body["checkout_session_id"])
            super()._offered(answer)
        return answer

    def _count(self, kind: str, answer: Answer) -> Answer:
        if answer.status in {200, 202}:
            self.steps_done[kind] += 1
        return answer

    def double_click(self) -> None:
        self.steps_done["double click"] += 1
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: self.pay_now(), range(2)))

    def retry(self) -> Answer:
        answer = super().retry()
        self.steps_done["retry"] += answer.status == 201
        return answer

    def return_from_stripe(self) -> Answer:
        return super().return_from_stripe() if self.session else self.call("GET", f"{self.id}/status")

    def cancel(self) -> Answer:
        self.withdrawn = True
        return self._count("cancel", super().cancel())

    def refund(self, **body: Any) -> Answer:
        self.requested_refunds.add("cancellation")
        return self._count("refund by the guest", super().refund(reason="changed plans", **body))

    def refund_by_operator(self, amount: int) -> Answer:
        self.requested_refunds.add("cancellation")
        return self._count("refund by operators", super().refund_by_operator(amount))

    def goodwill(self, amount: int, number: int) -> Answer:
        self.requested_refunds.add("goodwill")
        return self._count("goodwill by operators", self.refund_goodwill(amount, key=f"goodwill {number}"))

    def request_as_stranger(self) -> None:
        """Strangers are refused everything, and the guest what only operators may do."""
        resolution: tuple[str, Json | None] = (
            f"{self.id}/refunds/{self.cancellation_id}/resolution",
            {"answer": "settled_elsewhere", "note": "mine"},
        )
        refused_to_guests = [(f"{self.id}/attempts", None), (f"{self.id}/refund", {"amount": 100}), resolution]
        refused_to_strangers = [("checkout-session", {"reservation_id": self.id}), resolution]
        refused_to_strangers += [(f"{self.id}/{name}", None) for name in ("retry", "cancel", "refund", "attempts")]
        self.steps_done["requests by a stranger"] += 1
        self._expect_refusal("GET", f"{self.id}/status", None, self.stack.stranger)
        for path, body in refused_to_strangers:
            self._expect_refusal("POST", path, body, self.stack.stranger)
        for path, body in refused_to_guests:
            self._expect_refusal("POST", path, body, self.token)

    def _expect_refusal(self, method: str, path: str, body: Json | None, token: str) -> None:
        status = self.call(method, path, body, token=token).status
        if status not in {403, 404} and not (status >= 500 and self.faults.occurred):
            self.unexpected_answers.append(f"12: {method} {path} was answered {status}")

    # At Stripe.

    def pay(self, card: str = VISA, challenge: Challenge = "passed") -> str:
        """`challenge`: how the guest answers 3-D Secure, if the bank asks."""
        if not self.session:
            return "no session"
        session = self.session
        outcome: str = self.stack.stripe.pay(session, card).kind
        if outcome == "challenge":
            self.steps_done[f"3-D Secure {challenge}"] += 1
            if challenge == "unresolved":
                return outcome
            outcome = self._answer_challenge(session, passed=challenge == "passed")
        self.steps_done[f"card {outcome}"] += 1
        self.log.append(f"pay {session[-6:]}: {outcome}")
        if outcome == "paid":
            with self.stack.stripe.lock:
                self.valid_payments.add(self.stack.stripe.get("checkout.session", session)["payment_intent"])
        return outcome

    def _answer_challenge(self, session: str, *, passed: bool) -> str:
        stripe = self.stack.stripe
        with stripe.current():
            was_open = stripe.get("checkout.session", session)["status"] == "open"
            outcome = payment_intents.answer_challenge(stripe, session, passed=passed).kind
        return "late" if outcome == "paid" and not was_open else outcome

    def pay_in_old_tab(self, number: int) -> None:
        """Pay a session whatever its state."""
        if not self.offered_sessions:
            return
        session = self.offered_sessions[number % len(self.offered_sessions)]
        try:
            self.force_payment(session)
        except ValueError:
            return
        self.steps_done["old tab paid"] += 1
        self.log.append(f"old tab {session[-6:]} paid")

    def pay_slowly(self) -> None:
        """Pay by a method that Stripe needs time for."""
        if self.session:
            with contextlib.suppress(ValueError, StripeError):
                self.start_processing()

    def expire_at_stripe(self) -> None:
        if self.session:
            with self.stack.stripe.current():
                if self.stack.stripe.get("checkout.session", self.session)["status"] == "open":
                    super().expire_at_stripe()

    def refund_in_dashboard(self, amount: int, _: int = 0) -> None:
        """Refund the capture that is stored: a dashboard refund names nothing but its PaymentIntent."""
        pi = self.payment_or_empty.get("stripe_payment_intent_id")
        if pi is not None:
            self.requested_refunds.add("dashboard")
            self.withdrawn |= self.payment["status"] == "pending"  # what is returned does not confirm the booking
            with contextlib.suppress(StripeError):
                self.stack.stripe.dashboard_refund(pi, amount)
                self.steps_done["refund in the dashboard"] += 1

    def release_webhooks(self, containing: str = "") -> None:
        newest_first = self.history.newest_first
        self.stack.faults.release_webhooks(self.id, containing=containing, newest_first=newest_first)

    # Time passes.

    def wait_for_workflow(self) -> None:
        """Give the workflow a moment to get to its next wait or its end."""

        def waits() -> bool:
            return self.payment["status"] != "pending" or self.payment.get("awaiting") == "retry"

        with contextlib.suppress(WaitTimeoutError):
            wait_until(waits, "the workflow", seconds=WINDOW / 2)

    def wait_for_window_end(self) -> None:
        self.steps_done["window passed"] += 1
        time.sleep(WINDOW + 0.3)

    def wait_for_stripe(self) -> None:
        """Give Stripe the time that it takes to settle a refund, or to fail one that had succeeded."""
        time.sleep(REFUND_SECONDS + 60)

    def wait_for_hold_end(self) -> None:
        self.steps_done["hold passed"] += 1
        time.sleep(max(0.0, self.hold_ends + 0.3 - time.time()))

    def reconcile(self) -> None:
        """A run of the reconciler that nobody has scheduled, beside the others."""
        self.stack.reconcile()

    # The booking platform, without asking.

    def cancel_on_platform(self) -> None:
        self.steps_done["cancelled by the platform"] += 1
        self.withdrawn = True
        if not self.deleted:
            self.change_reservation(status="cancelled")

    def reprice(self, price: int) -> None:
        if self.deleted or self.unreadable:
            return
        self.steps_done["repriced by the platform"] += 1
        self.withdrawn |= price != self.price
        changed = self.stack.admin.change_reservation(self.id, status=None, total_amount=price)
        if changed["status"] == "pending":
            self.price = price

    def lose_night(self) -> None:
        self.steps_done["night lost"] += 1
        self.withdrawn = True
        super().lose_night()

    # After the last step.

    def end_faults(self) -> None:
        """Clear the faults, deliver what is held, and let Stripe finish what it is processing."""
        self.faults.clear()
        self.stack.faults.on_entry.clear()
        self.fix_reservation()
        self.faults_ended_at = time.time()
        if self.faults.webhooks == "hold":
            self.release_webhooks()
        for intent in self.intents():
            if intent["status"] == "processing":
                succeeded = self.history.processing_succeeds
                self.stack.stripe.finish_processing(intent["id"], succeeded=succeeded)
