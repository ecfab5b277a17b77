"""Random histories: what a guest, Stripe, AWS, the platform and the operators do to one booking.

A history depends on its seed alone, and so does what comes of it: which thread runs when, and how long each call takes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, NamedTuple

from local.fake_stripe.webhook_delivery import Mode as WebhookMode
from tests.harness.booking_driver import CHALLENGED, DECLINED, NO_FUNDS, REFUND_FAILS_LATER, REFUND_PENDING, VISA

CARDS = {VISA: 10, DECLINED: 3, NO_FUNDS: 1, CHALLENGED: 3, REFUND_FAILS_LATER: 2, REFUND_PENDING: 2}
PRICE = 45_000  # cents
PAUSES = (0.0, 0.0, 0.0, 0.05, 0.5, 5.0, 120.0)  # seconds
WEBHOOK_MODES: tuple[WebhookMode, ...] = ("deliver", "hold", "drop", "duplicate", "reverse")

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
# The callers of these operations; any function may call the others.
CALLERS: Mapping[str, tuple[str | None, ...]] = {
    "dynamodb.TransactWriteItems": ("confirm_reservation", "release_hold", "reserve_refund", None),
    "lambda.Invoke": ("states",),
}
CONFLICTING = {"dynamodb.UpdateItem", "dynamodb.TransactWriteItems", "dynamodb.PutItem"}

# Everything that a large number of histories has to cover.
COVERAGE = frozenset(
    {
        *(f"webhooks: {mode}" for mode in WEBHOOK_MODES),
        *(f"Stripe: {kind}" for kind in STRIPE_FAULTS),
        *(f"dynamodb: {kind}" for kind in ("throttled", "internal_error", "conflict", "unanswered", "delayed")),
        *(f"a function crashes {moment} a call" for moment in ("before", "after")),
        *(f"3-D Secure {outcome}" for outcome in ("passed", "failed", "unresolved")),
        *(f"card {outcome}" for outcome in ("paid", "declined")),
        *(f"{workflow} execution stopped" for workflow in ("payment", "refund")),
        *("retry", "cancel", "double click", "old tab paid", "attempt granted", "requests by a stranger"),
        *("refund by the guest", "refund by operators", "goodwill by operators", "refund in the dashboard"),
        *("cancelled by the platform", "repriced by the platform", "night lost", "window passed", "hold passed"),
        *("reservation confirmed", "reservation expired", "reservation cancelled", "2 times paid"),
        *("unapplied payment refunded", "a failed refund", "a replacement execution"),
    }
)

MAX_STOPS = 3  # an execution is replaced this many times


class Step(NamedTuple):
    """A call of the `HistoryDriver` method `name`.

    `in_background`: the next step does not wait for this one. `pause`: seconds before it.
    """

    name: str
    args: tuple[Any, ...] = ()
    in_background: bool = False
    pause: float = 0.0

    def __str__(self) -> str:
        text = f"{self.name}({', '.join(map(str, self.args))})"
        return f"{text} in background" if self.in_background else text


@dataclass(frozen=True)
class History:
    """Everything that is done to one booking.

    `hold`: how long the dates are held, in checkout windows. `reconcile_minutes`: how often the reconciler runs while
    steps are made. `answers`: what operators answer when a refund waits for
    them. `processing_succeeds`: how payments end that Stripe is still processing after the last step. `newest_first`:
    the order in which held events are delivered.
    """

    seed: int
    hold: float
    reconcile_minutes: int
    webhooks: WebhookMode
    steps: tuple[Step, ...]
    answers: tuple[str, ...]
    processing_succeeds: bool
    newest_first: bool

    def __str__(self) -> str:
        steps = "; ".join(map(str, self.steps))
        return (
            f"seed {self.seed}: hold of {self.hold} windows, reconciled every {self.reconcile_minutes} minutes, "
            f"webhooks: {self.webhooks}, operators answer {self.answers}: {steps}"
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "History":
        fields = json.loads(text)
        steps = tuple(Step(name, tuple(args), *others) for name, args, *others in fields["steps"])
        return cls(**{**fields, "steps": steps, "answers": tuple(fields["answers"])})

    def shorter(self) -> list["History"]:
        """Every history with one step less, and this one with its webhooks delivered normally."""
        fewer = [replace(self, steps=(*self.steps[:n], *self.steps[n + 1 :])) for n in range(len(self.steps))]
        return fewer + ([replace(self, webhooks="deliver")] if self.webhooks != "deliver" else [])


def draw(seed: int) -> History:
    """The history of a seed: the steps of an outline with random steps and faults in between."""
    rng = Random(seed)  # noqa: S311 - repeatable, not secret
    webhooks = rng.choices(WEBHOOK_MODES, (5, 2, 2, 1, 1))[0]
    outline = rng.choice(_OUTLINES)
    steps = [_step(name, rng, in_background=in_background) for name, in_background in outline(rng)]
    without_faults = rng.random() < 0.2
    # Each history has kinds of faults of its own: where all are likely, none happens twice.
    weights = [weight * (rng.choice((0, 1, 3, 9)) if name in _FAULTS else 1) for name, weight in _STEPS.items()]
    for _ in range(rng.randint(0, 5) if steps else rng.randint(2, 8)):
        name = rng.choices(tuple(_STEPS), weights)[0]
        if name not in _FAULTS:
            steps.insert(rng.randint(0, len(steps)), _step(name, rng, in_background=rng.random() < 0.3))
        elif not without_faults:
            # Never after the last step, where the fault would have nothing left to affect.
            steps.insert(rng.randint(0, max(0, len(steps) - 1)), _step(name, rng))
    stops = [step for step in steps if step.name == "stop"]
    for step in stops[MAX_STOPS:]:
        steps.remove(step)
    if "pay_now" not in {step.name for step in steps} and rng.random() < 0.9:
        steps.insert(0, _step("pay_now", rng))
    hold = rng.choice((2.2, 3.2)) if outline in _LONG else rng.choices((0.5, 1.5, 2.2, 3.2, 48), (1, 3, 3, 3, 1))[0]
    return History(
        seed=seed,
        hold=hold,
        reconcile_minutes=240 if hold == 48 else rng.choices((15, 60), (1, 2))[0],
        webhooks=webhooks,
        steps=tuple(steps),
        answers=rng.choice(((), ("retry",), ("retry", "settled_elsewhere"), ("settled_elsewhere",))),
        processing_succeeds=rng.random() < 0.6,
        newest_first=rng.random() < 0.5,
    )


def _step(name: str, rng: Random, *, in_background: bool = False) -> Step:
    return Step(name, _args(name, rng), in_background, rng.choice(PAUSES))


# The names of an outline's steps, and whether each runs in the background.
type Outline = Callable[[Random], list[tuple[str, bool]]]


def _random_steps_only(_: Random) -> list[tuple[str, bool]]:
    return []


def _refunded(rng: Random) -> list[tuple[str, bool]]:
    """Paid; then refunds are requested in several ways at once."""
    ways = rng.choices(
        ("refund", "refund_by_operator", "goodwill", "refund_in_dashboard", "stop"),
        (4, 1, 3, 1, 2),
        k=rng.randint(1, 4),
    )
    return [
        ("pay_now", False),
        ("pay", False),
        ("wait_for_workflow", False),
        *((way, rng.random() < 0.6) for way in ways),
    ]


def _paid_twice(rng: Random) -> list[tuple[str, bool]]:
    """A second session, and payments in both."""
    paying = [("pay", rng.random() < 0.5), ("pay_in_old_tab", rng.random() < 0.5)]
    rng.shuffle(paying)
    ends = rng.choice(("expire_at_stripe", "wait_for_window_end"))
    return [("pay_now", False), (ends, False), ("wait_for_workflow", False), ("retry", False), *paying]


def _cancelled_while_paying(rng: Random) -> list[tuple[str, bool]]:
    concurrent = [("pay", True), (rng.choice(("cancel", "cancel_on_platform", "reprice", "lose_night")), True)]
    rng.shuffle(concurrent)
    return [("pay_now", False), *concurrent]


def _paid_late(rng: Random) -> list[tuple[str, bool]]:
    """Paid while the window or the hold ends, or afterwards."""
    first, last = rng.choice(
        (("wait_for_window_end", "pay"), ("wait_for_hold_end", "pay"), ("wait_for_hold_end", "pay_in_old_tab"))
    )
    return [("pay_now", False), (first, rng.random() < 0.5), (last, False)]


def _attempts_used_up(rng: Random) -> list[tuple[str, bool]]:
    again = [("expire_at_stripe", False), ("wait_for_workflow", False), (rng.choice(("retry", "pay_now")), False)]
    return [("pay_now", False), *again, *again, *again, ("grant_attempt", False), ("retry", False), ("pay", False)]


_OUTLINES: tuple[Outline, ...] = (
    _random_steps_only,
    _random_steps_only,
    _refunded,
    _refunded,
    _paid_twice,
    _cancelled_while_paying,
    _paid_late,
    _attempts_used_up,
)
_LONG = {_paid_twice, _attempts_used_up}
_FAULTS = {"fail_stripe", "fail_aws", "crash", "delay_write"}
_STEPS = {
    "pay": 14,
    "pay_now": 4,
    "double_click": 1,
    "retry": 3,
    "return_from_stripe": 3,
    "cancel": 3,
    "pay_in_old_tab": 3,
    "pay_slowly": 1,
    "expire_at_stripe": 2,
    "wait_for_window_end": 3,
    "wait_for_hold_end": 1,
    "stop": 3,
    "cancel_on_platform": 1,
    "reprice": 2,
    "lose_night": 1,
    "refund": 3,
    "refund_by_operator": 1,
    "goodwill": 2,
    "refund_in_dashboard": 1,
    "grant_attempt": 1,
    "request_as_stranger": 1,
    "release_webhooks": 1,
    "reconcile": 2,
    "fail_stripe": 7,
    "fail_aws": 8,
    "crash": 8,
    "delay_write": 3,
}


def _args(name: str, rng: Random) -> tuple[Any, ...]:
    match name:
        case "pay":
            card = rng.choices(tuple(CARDS), tuple(CARDS.values()))[0]
            return (card, rng.choices(("passed", "failed", "unresolved"), (6, 2, 2))[0])
        case "pay_in_old_tab":
            return (rng.randrange(4),)
        case "reprice":
            return (rng.choice((PRICE + 5_000, PRICE - 5_000, PRICE)),)
        case "refund_by_operator":
            return (rng.choice((PRICE, 1_000)),)
        case "goodwill" | "refund_in_dashboard":
            return (rng.choice((PRICE, PRICE // 2, 1_000)), rng.randrange(3))
        case "stop":
            return (rng.choice(("payment", "refund")), rng.choice(PAUSES))
        case "fail_stripe":
            return (rng.choice(STRIPE_OPERATIONS), rng.choice(STRIPE_FAULTS), rng.choice((1, 2, 5)))
        case "fail_aws":
            operation = rng.choice(AWS_OPERATIONS)
            faults = ["throttled", "internal_error", "unanswered"] + ["conflict"] * (2 * (operation in CONFLICTING))
            caller = rng.choice(CALLERS.get(operation, ("states", *FUNCTIONS, None, None, None)))
            return (operation, rng.choice(faults), rng.choice((1, 1, 3)), caller)
        case "crash":
            return (rng.choice(FUNCTIONS), rng.randrange(6), rng.choice(("before", "after", "after")))
        case _:
            return ()
