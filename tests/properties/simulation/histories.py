"""Random histories: what a guest, Stripe, AWS, the platform and the operators do to one booking.

A history is drawn from its seed alone. What the threads make of it is not repeatable to the last interleaving, so a
seed that failed may need a few runs to fail again.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal, NamedTuple

import requests

from local.fake_stripe import payment_intents
from local.fake_stripe.stripe_errors import StripeError
from shared.adapters.step_functions import execution_name
from tests.properties.simulation.world import Crash, Json, Mail, Moment, World, until

VISA, CHALLENGED = "4242424242424242", "4000002500003155"
DECLINED, NO_FUNDS = "4000000000000002", "4000000000009995"
REFUND_FAILS_LATER, REFUND_PENDING = "4000000000005126", "4000000000007726"
CARDS = {
    VISA: 10,
    DECLINED: 3,
    NO_FUNDS: 1,
    CHALLENGED: 3,
    REFUND_FAILS_LATER: 2,
    REFUND_PENDING: 2,
}
PRICE = 45_000  # cents
TIMEOUT = 40  # seconds

STATES = (
    "create_checkout_session",
    "verify_payment",
    "expire_checkout_sessions",
    "confirm_reservation",
    "release_hold",
    "reserve_refund",
    "create_refund",
    "check_refund",
    "record_refund",
)
FUNCTIONS = (*STATES, "stripe_webhook", "payments_api", "reconcile_payments")
STRIPE_FAULTS = ("rate_limit", "server_error", "server_error_after", "timeout_before", "timeout_after", "reset")
STRIPE_OPERATIONS = (
    "checkout.sessions.create",
    "checkout.sessions.retrieve",
    "checkout.sessions.expire",
    "refunds.create",
    "refunds.list",
    "*",
    "*",
    "*",
)
AWS_OPERATIONS = (
    "dynamodb.UpdateItem",
    "dynamodb.UpdateItem",
    "dynamodb.TransactWriteItems",
    "dynamodb.TransactWriteItems",
    "dynamodb.TransactWriteItems",
    "dynamodb.BatchGetItem",
    "dynamodb.GetItem",
    "dynamodb.PutItem",
    "lambda.Invoke",
    "states.SendTaskSuccess",
    "states.StartExecution",
    "events.PutEvents",
    "sns.Publish",
)
# Who makes these; anybody may make the others.
CALLERS: Mapping[str, tuple[str | None, ...]] = {
    "dynamodb.TransactWriteItems": ("confirm_reservation", "release_hold", "reserve_refund", None),
    "lambda.Invoke": ("states",),
}
CONFLICTING = {"dynamodb.UpdateItem", "dynamodb.TransactWriteItems", "dynamodb.PutItem"}

# What histories have to come across, many of them together.
KINDS = frozenset(
    {
        *(f"webhooks: {mail}" for mail in ("deliver", "late", "never", "duplicate", "reverse")),
        *(f"Stripe: {kind}" for kind in STRIPE_FAULTS),
        *(f"dynamodb: {kind}" for kind in ("throttled", "internal_error", "conflict", "unanswered", "delayed")),
        *(f"a function dies {moment} a call" for moment in ("before", "after")),
        *(f"3-D Secure {outcome}" for outcome in ("passed", "failed", "unresolved")),
        *(f"card {outcome}" for outcome in ("paid", "declined")),
        *(f"{workflow} execution stopped" for workflow in ("payment", "refund")),
        *("retry", "cancel", "double click", "old tab paid", "attempt granted", "a stranger"),
        *("refund by the guest", "refund by operators", "goodwill by operators", "refund in the dashboard"),
        *("cancelled by the platform", "repriced by the platform", "night lost", "window passed", "hold passed"),
        *("reservation confirmed", "reservation expired", "reservation cancelled", "2 times paid"),
        *("unapplied money refunded", "a failed refund", "a replacement"),
    }
)

MAX_STOPS = 3  # as many replacements as an execution gets


class Step(NamedTuple):
    """`meanwhile`: the next step does not wait for this one. `pause`: seconds before it."""

    name: str
    given: tuple[Any, ...] = ()
    meanwhile: bool = False
    pause: float = 0.0

    def __str__(self) -> str:
        text = f"{self.name}({', '.join(map(str, self.given))})"
        return f"{text} meanwhile" if self.meanwhile else text


@dataclass(frozen=True)
class History:
    """`hold`: how long the dates are held, in checkout windows."""

    seed: int
    hold: float
    mail: Mail
    steps: tuple[Step, ...]
    answers: tuple[str, ...]
    settles: bool
    backwards: bool

    def __str__(self) -> str:
        steps = "; ".join(map(str, self.steps))
        return f"seed {self.seed}: hold {self.hold} windows, webhooks {self.mail}, operators {self.answers}: {steps}"

    def shorter(self) -> list["History"]:
        """Every history with one step less, and the same without its troubled mail."""
        fewer = [replace(self, steps=(*self.steps[:n], *self.steps[n + 1 :])) for n in range(len(self.steps))]
        return fewer + ([replace(self, mail="deliver")] if self.mail != "deliver" else [])


def draw(seed: int) -> History:
    """A story that leads somewhere, or none, with anything else in between."""
    rng = Random(seed)  # noqa: S311 - repeatable, not secret
    mail: Mail = rng.choices(("deliver", "late", "never", "duplicate", "reverse"), (5, 2, 2, 1, 1))[0]
    story = rng.choice(_STORIES)
    steps = [_step(name, rng, meanwhile=meanwhile) for name, meanwhile in story(rng)]
    calm = rng.random() < 0.2
    for _ in range(rng.randint(0, 5) if steps else rng.randint(2, 8)):
        name = rng.choices(tuple(_STEPS), tuple(_STEPS.values()))[0]
        if name not in _TROUBLES:
            steps.insert(rng.randint(0, len(steps)), _step(name, rng, meanwhile=rng.random() < 0.3))
        elif not calm:
            # Before something happens: after the last step nothing is left to go wrong.
            steps.insert(rng.randint(0, max(0, len(steps) - 1)), _step(name, rng))
    stops = [step for step in steps if step.name == "stop"]
    for step in stops[MAX_STOPS:]:
        steps.remove(step)
    if "pay_now" not in {step.name for step in steps} and rng.random() < 0.9:
        steps.insert(0, _step("pay_now", rng))
    return History(
        seed=seed,
        hold=rng.choice((2.2, 3.2)) if story in _LONG else rng.choices((0.5, 1.5, 2.2, 3.2), (1, 3, 3, 3))[0],
        mail=mail,
        steps=tuple(steps),
        answers=rng.choice(((), ("retry",), ("retry", "settled_elsewhere"), ("settled_elsewhere",))),
        settles=rng.random() < 0.6,
        backwards=rng.random() < 0.5,
    )


def _step(name: str, rng: Random, *, meanwhile: bool = False) -> Step:
    return Step(name, _given(name, rng), meanwhile, rng.choice((0.0, 0.0, 0.0, 0.1, 0.3)))


type Challenge = Literal["passed", "failed", "unresolved"]
type Story = Callable[[Random], list[tuple[str, bool]]]


def _anything(_: Random) -> list[tuple[str, bool]]:
    return []


def _refunded(rng: Random) -> list[tuple[str, bool]]:
    """Paid, and then money is asked back, in several ways at once."""
    ways = rng.choices(
        ("refund", "operator_refund", "goodwill", "dashboard_refund", "stop"), (4, 1, 3, 1, 2), k=rng.randint(1, 4)
    )
    return [("pay_now", False), ("pay", False), ("rest", False), *((way, rng.random() < 0.6) for way in ways)]


def _twice_paid(rng: Random) -> list[tuple[str, bool]]:
    """A second session, and money in both."""
    paying = [("pay", rng.random() < 0.5), ("old_tab", rng.random() < 0.5)]
    rng.shuffle(paying)
    ends = rng.choice(("expire_at_stripe", "window_passes"))
    return [("pay_now", False), (ends, False), ("rest", False), ("retry", False), *paying]


def _cancelled_while_paying(rng: Random) -> list[tuple[str, bool]]:
    at_once = [("pay", True), (rng.choice(("cancel", "platform_cancels", "reprice", "lose_night")), True)]
    rng.shuffle(at_once)
    return [("pay_now", False), *at_once]


def _paid_at_the_end(rng: Random) -> list[tuple[str, bool]]:
    """While the window or the hold ends, or after it."""
    first, last = rng.choice((("window_passes", "pay"), ("hold_passes", "pay"), ("hold_passes", "old_tab")))
    return [("pay_now", False), (first, rng.random() < 0.5), (last, False)]


def _used_up(rng: Random) -> list[tuple[str, bool]]:
    again = [("expire_at_stripe", False), ("rest", False), (rng.choice(("retry", "pay_now")), False)]
    return [("pay_now", False), *again, *again, *again, ("grant", False), ("retry", False), ("pay", False)]


_STORIES: tuple[Story, ...] = (
    _anything,
    _anything,
    _refunded,
    _refunded,
    _twice_paid,
    _cancelled_while_paying,
    _paid_at_the_end,
    _used_up,
)
_LONG = {_twice_paid, _used_up}
_TROUBLES = {"stripe_fails", "aws_fails", "crashes", "write_delayed"}
_STEPS = {
    "pay": 14,
    "pay_now": 4,
    "double_click": 1,
    "retry": 3,
    "come_back": 3,
    "cancel": 3,
    "old_tab": 3,
    "processing": 1,
    "expire_at_stripe": 2,
    "window_passes": 3,
    "hold_passes": 1,
    "stop": 3,
    "platform_cancels": 1,
    "reprice": 2,
    "lose_night": 1,
    "refund": 3,
    "operator_refund": 1,
    "goodwill": 2,
    "dashboard_refund": 1,
    "grant": 1,
    "stranger": 1,
    "release_mail": 1,
    "stripe_fails": 7,
    "aws_fails": 8,
    "crashes": 8,
    "write_delayed": 3,
}


def _given(name: str, rng: Random) -> tuple[Any, ...]:
    match name:
        case "pay":
            card = rng.choices(tuple(CARDS), tuple(CARDS.values()))[0]
            return (card, rng.choices(("passed", "failed", "unresolved"), (6, 2, 2))[0])
        case "old_tab":
            return (rng.randrange(4),)
        case "reprice":
            return (rng.choice((PRICE + 5_000, PRICE - 5_000, PRICE)),)
        case "operator_refund":
            return (rng.choice((PRICE, 1_000)),)
        case "goodwill" | "dashboard_refund":
            return (rng.choice((PRICE, PRICE // 2, 1_000)), rng.randrange(3))
        case "stop":
            return (rng.choice(("payment", "refund")), rng.choice((0.0, 0.05, 0.2)))
        case "stripe_fails":
            return (rng.choice(STRIPE_OPERATIONS), rng.choice(STRIPE_FAULTS), rng.choice((1, 2, 5)))
        case "aws_fails":
            operation = rng.choice(AWS_OPERATIONS)
            faults = ["throttled", "internal_error", "unanswered"] + ["conflict"] * (2 * (operation in CONFLICTING))
            caller = rng.choice(CALLERS.get(operation, ("states", *FUNCTIONS, None, None, None)))
            return (operation, rng.choice(faults), rng.choice((1, 1, 3)), caller)
        case "crashes":
            return (rng.choice(FUNCTIONS), rng.randrange(6), rng.choice(("before", "after", "after")))
        case _:
            return ()


@dataclass
class Played:
    """What was done to a booking, and what its doers were told."""

    history: History
    id: str = ""
    token: str = ""
    day: str = ""
    hold_ends: float = 0.0
    sessions: list[str] = field(default_factory=list)
    price: int = PRICE
    honest: set[str] = field(default_factory=set)
    gone: bool = False
    granted: int = 0
    asked_back: set[str] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)

    @property
    def payment_id(self) -> str:
        return f"PAY-{self.id}"


class Player:
    """Plays one history on the world."""

    def __init__(self, world: World, history: History) -> None:
        self.world = world
        self.played = Played(history)
        self._meanwhile: list[Future[None]] = []

    def play(self, pool: ThreadPoolExecutor) -> Played:
        played, history = self.played, self.played.history
        hold = history.hold * self.world.window
        made = self.world.reserve(hold)
        played.hold_ends = time.time() + hold
        played.id, played.token, played.day = made["reservation_id"], made["guest_token"], made["check_in"]
        self.faults_injected.mail = history.mail
        self._did(f"webhooks: {history.mail}")
        for step in history.steps:
            time.sleep(step.pause)
            act: Callable[..., None] = getattr(self, step.name)
            if step.meanwhile:
                self._meanwhile.append(pool.submit(act, *step.given))
            else:
                act(*step.given)
        for future in self._meanwhile:
            future.result()
        return played

    @property
    def faults_injected(self) -> Any:
        return self.world.faults_injected[self.played.id]

    def _did(self, what: str) -> None:
        self.played.did[what] += 1

    # Over HTTP.

    def _api(
        self, method: str, path: str, body: Json | None = None, *, token: str | None = None, key: str | None = None
    ) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {self.played.token if token is None else token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        answer = requests.request(
            method, f"{self.world.stack.url}/api/payments/{path}", json=body, headers=headers, timeout=TIMEOUT
        )
        told: Json = answer.json()
        code = told.get("error_code") or told.get("status") or told.get("attempt_number")
        self.played.log.append(f"{method} {path.removeprefix(self.played.id)}: {answer.status_code} {code}")
        if answer.status_code >= 500 and not (
            self.faults_injected.disturbed or told.get("error_code") == "STRIPE_UNAVAILABLE"
        ):
            self.played.surprises.append(f"{method} {path} was answered {answer.status_code} {json.dumps(told)}")
        return answer.status_code, told

    def _offered(self, status: int, told: Json) -> None:
        if status in {200, 201} and told["checkout_session_id"] not in self.played.sessions:
            self.played.sessions.append(told["checkout_session_id"])

    def pay_now(self) -> None:
        self._offered(*self._api("POST", "checkout-session", {"reservation_id": self.played.id}))

    def double_click(self) -> None:
        self._did("double click")
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda _: self.pay_now(), range(2)))

    def retry(self) -> None:
        status, told = self._api("POST", f"{self.played.id}/retry")
        self._offered(status, told)
        if status == 201:
            self._did("retry")

    def come_back(self) -> None:
        query = f"?session_id={self.played.sessions[-1]}" if self.played.sessions else ""
        self._api("GET", f"{self.played.id}/status{query}")

    def cancel(self) -> None:
        self.played.gone = True
        if self._api("POST", f"{self.played.id}/cancel")[0] in {200, 202}:
            self._did("cancel")

    def refund(self) -> None:
        self.played.asked_back.add("cancellation")
        if self._api("POST", f"{self.played.id}/refund", {"reason": "changed plans"})[0] in {200, 202}:
            self._did("refund by the guest")

    def operator_refund(self, amount: int) -> None:
        """The stay is cancelled, and as much given back as the operators think right."""
        self.played.asked_back.add("cancellation")
        status, _ = self._api("POST", f"{self.played.id}/refund", {"amount": amount}, token=self._operator())
        if status in {200, 202}:
            self._did("refund by operators")

    def goodwill(self, amount: int, number: int) -> None:
        self.played.asked_back.add("goodwill")
        body = {"kind": "goodwill", "amount": amount}
        path, key = f"{self.played.id}/refund", f"goodwill {number}"
        if self._api("POST", path, body, token=self._operator(), key=key)[0] in {200, 202}:
            self._did("goodwill by operators")

    def grant(self) -> None:
        if self._api("POST", f"{self.played.id}/attempts", token=self._operator())[0] != 400:
            self.played.granted += 1
            self._did("attempt granted")

    def _operator(self) -> str:
        return str(self.world.admin.token("CUST-operator", groups=["operators"])["token"])

    def stranger(self) -> None:
        """Who is not the guest gets nothing, and the guest nothing that is the operators'."""
        token = self.world.admin.token("CUST-stranger")["token"]
        about = self.played.id
        answer: Json = {"answer": "settled_elsewhere", "note": "mine"}
        tried: list[tuple[str, str, Json | None, str]] = [
            ("POST", "checkout-session", {"reservation_id": about}, token),
            ("GET", f"{about}/status", None, token),
            ("POST", f"{about}/retry", None, token),
            ("POST", f"{about}/cancel", None, token),
            ("POST", f"{about}/refund", None, token),
            ("POST", f"{about}/attempts", None, token),
            ("POST", f"{about}/refunds/{self.played.payment_id}-cancellation/resolution", answer, token),
            ("POST", f"{about}/attempts", None, self.played.token),
            ("POST", f"{about}/refund", {"amount": 100}, self.played.token),
            ("POST", f"{about}/refunds/{self.played.payment_id}-cancellation/resolution", answer, self.played.token),
        ]
        self._did("a stranger")
        for method, path, body, by in tried:
            status, _ = self._api(method, path, body, token=by)
            if status not in {403, 404} and not (status >= 500 and self.faults_injected.disturbed):
                self.played.surprises.append(f"12: {method} {path} was answered {status}")

    # At Stripe.

    def pay(self, card: str, challenge: Challenge = "passed") -> None:
        """`challenge`: what becomes of the bank's question (3-D Secure), if there is one."""
        if not self.played.sessions:
            return
        session = self.played.sessions[-1]
        told: str = self.world.stripe.pay(session, card).kind
        if told == "challenge":
            self._did(f"3-D Secure {challenge}")
            if challenge == "unresolved":
                return
            told = self._answer_challenge(session, passes=challenge == "passed")
        self._did(f"card {told}")
        self.played.log.append(f"pay {session[-6:]}: {told}")
        if told == "paid":
            self._honest(session)

    def _answer_challenge(self, session: str, *, passes: bool) -> str:
        with self.world.stripe.current():
            was_open = self.world.stripe.get("checkout.session", session)["status"] == "open"
            kind = payment_intents.answer_challenge(self.world.stripe, session, passed=passes).kind
        return "late" if kind == "paid" and not was_open else kind

    def _honest(self, session: str) -> None:
        with self.world.stripe.lock:
            self.played.honest.add(self.world.stripe.get("checkout.session", session)["payment_intent"])

    def old_tab(self, number: int) -> None:
        if not self.played.sessions:
            return
        session = self.played.sessions[number % len(self.played.sessions)]
        try:
            self.world.stripe.force_payment(session)
        except ValueError:
            return
        self._did("old tab paid")
        self.played.log.append(f"old tab {session[-6:]} paid")

    def processing(self) -> None:
        if not self.played.sessions:
            return
        try:
            self.world.stripe.start_processing(self.played.sessions[-1])
        except (ValueError, StripeError):
            return

    def expire_at_stripe(self) -> None:
        if self.played.sessions:
            with self.world.stripe.current():
                is_open = self.world.stripe.get("checkout.session", self.played.sessions[-1])["status"] == "open"
                if is_open:
                    self.world.stripe.expire_session(self.played.sessions[-1])

    def dashboard_refund(self, amount: int, _: int) -> None:
        """Of the capture that a dashboard refund, which carries nothing of ours, can be found by."""
        try:
            pi = self.world.admin.payment(self.played.id).get("stripe_payment_intent_id")
        except LookupError:
            return
        if pi is not None:
            self.played.asked_back.add("dashboard")
            try:
                self.world.stripe.dashboard_refund(pi, amount)
                self._did("refund in the dashboard")
            except StripeError as refused:
                self.played.log.append(f"dashboard refund: {refused}")

    def _intents(self) -> list[Json]:
        with self.world.stripe.lock:
            return self.world.stripe.all(
                "payment_intent", lambda one: one["metadata"].get("reservation_id") == self.played.id
            )

    def release_mail(self) -> None:
        self.world.release_mail(self.played.id, backwards=self.played.history.backwards)

    # Time.

    def rest(self) -> None:
        """A moment in which the workflow may get to where it is going."""
        until(self._arrived, self.world.window / 2)

    def _arrived(self) -> bool:
        payment = self.world.admin.payment(self.played.id)
        return payment["status"] != "pending" or payment.get("awaiting") == "retry"

    def window_passes(self) -> None:
        self._did("window passed")
        time.sleep(self.world.window + 0.3)

    def hold_passes(self) -> None:
        self._did("hold passed")
        time.sleep(max(0.0, self.played.hold_ends + 0.3 - time.time()))

    # The platform, behind our back.

    def platform_cancels(self) -> None:
        self._did("cancelled by the platform")
        self.played.gone = True
        self.world.admin.change_reservation(self.played.id, status="cancelled", total_amount=None)

    def reprice(self, price: int) -> None:
        self._did("repriced by the platform")
        self.played.gone |= price != self.played.price
        changed = self.world.admin.change_reservation(self.played.id, status=None, total_amount=price)
        if changed["status"] == "pending":
            self.played.price = price

    def lose_night(self) -> None:
        self._did("night lost")
        self.played.gone = True
        self.world.dynamodb.update_item(
            TableName=self.world.stack.outputs["availabilityTable"],
            Key={"date": {"S": self.played.day}},
            UpdateExpression="SET reservation_id = :other",
            ExpressionAttributeValues={":other": {"S": "RES-of-another"}},
        )

    # What goes wrong.

    def stop(self, workflow: str, pause: float) -> None:
        time.sleep(pause)
        running = {name: of for name, of in self.world.running().items() if self.played.id in name}
        if workflow == "refund":
            running |= {name: of for name, of in self.world.running().items() if name in self._refund_names()}
        for name, of in running.items():
            if of == workflow:
                self.world.states.stop_execution(
                    executionArn=self.world.stack.outputs[f"{of}StateMachineArn"].replace(
                        ":stateMachine:", ":execution:"
                    )
                    + f":{name}"
                )
                self.faults_injected.disturb(f"{of} execution stopped")
                self.played.log.append(f"stopped {name}")
                return

    def _refund_names(self) -> set[str]:
        return {execution_name(f"REF-{intent['id']}", restart) for intent in self._intents() for restart in range(4)}

    def stripe_fails(self, operation: str, kind: Any, times: int) -> None:
        self.faults_injected.stripe.add(operation, kind, times)

    def aws_fails(self, operation: str, kind: str, times: int, caller: str | None) -> None:
        self.faults_injected.aws.add(operation, kind, times, caller)

    def write_delayed(self) -> None:
        self.faults_injected.delayed += 1

    def crashes(self, function: str, call: int, moment: Moment) -> None:
        self.faults_injected.crashes.append(Crash(function, call, moment))

    # Afterwards.

    def calm(self) -> None:
        """Nothing goes wrong any more; what was under way at Stripe comes to its end."""
        self.faults_injected.calm()
        self.release_late_mail()
        for intent in self._intents():
            if intent["status"] == "processing":
                self.world.stripe.finish_processing(intent["id"], succeeded=self.played.history.settles)

    def release_late_mail(self) -> None:
        if self.faults_injected.mail == "late":
            self.release_mail()

    def answer(self, refund_id: str, answer: str) -> None:
        body = {"answer": answer, "note": "after a call"}
        path = f"{self.played.id}/refunds/{refund_id}/resolution"
        self._api("POST", path, body, token=self._operator())


def play(world: World, histories: Sequence[History], at_once: int) -> list[Player]:
    """All of them, several at a time, and then until nothing moves any more."""
    players = [Player(world, history) for history in histories]
    with ThreadPoolExecutor(64) as meanwhile, ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda player: player.play(meanwhile), players))
    return players
