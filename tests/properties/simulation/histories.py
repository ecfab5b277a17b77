"""Random histories: what a guest, Stripe, AWS, the platform and the operators do to one booking.

A history depends on its seed alone, and so does what comes of it: which thread runs when, and how long each call takes.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from random import Random

from local.fake_stripe.webhook_delivery import Mode as WebhookMode
from tests.properties.simulation.steps import (
    FAULTS,
    FOREIGN_STATUSES,
    STEPS,
    STRIPE_FAULTS,
    TAGS,
    UNREADABLE,
    Step,
    random_step,
)

WEBHOOK_MODES: tuple[WebhookMode, ...] = ("deliver", "hold", "drop", "duplicate", "reverse")

# Everything that a large number of histories has to cover.
COVERAGE = frozenset(
    {
        *(f"webhooks: {mode}" for mode in WEBHOOK_MODES),
        *(f"Stripe: {kind}" for kind in (*STRIPE_FAULTS, "refuse")),
        *(f"dynamodb: {kind}" for kind in ("throttled", "internal_error", "conflict", "unanswered", "delayed")),
        *(f"a function crashes {moment} a call" for moment in ("before", "after")),
        *(f"3-D Secure {outcome}" for outcome in ("passed", "failed", "unresolved")),
        *(f"card {outcome}" for outcome in ("paid", "declined")),
        *(f"{workflow} execution stopped" for workflow in ("payment", "refund")),
        *("retry", "cancel", "double click", "old tab paid", "attempt granted", "requests by a stranger"),
        *("refund by the guest", "refund by operators", "goodwill by operators", "refund in the dashboard"),
        *("cancelled by the platform", "repriced by the platform", "night lost", "window passed", "hold passed"),
        *("reservation confirmed", "reservation expired", "reservation cancelled", "2 times paid"),
        *(f"charge elsewhere, {tag}" for tag in TAGS),
        *("an inquiry", "an inquiry escalated", "a dispute", "a dispute won", "a dispute lost", "refund at Stripe"),
        *("refund elsewhere", "reservation deleted"),
        *(f"status {status} by the platform" for status in ("confirmed", *FOREIGN_STATUSES)),
        *(f"unreadable {name}" for name in UNREADABLE),
        *("unapplied payment refunded", "a failed refund", "a replacement execution"),
    }
)

MAX_STOPS = 3  # an execution is replaced this many times


@dataclass(frozen=True)
class History:
    """Everything that is done to one booking.

    `hold`: how long the dates are held, in checkout windows. `reconcile_minutes`: how often the reconciler runs while
    steps are made. `answers`: what operators answer when a refund waits for them. `processing_succeeds`: how payments
    end that Stripe is still processing after the last step. `newest_first`: the order in which held events are
    delivered.
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
    steps = [random_step(name, rng, in_background=in_background) for name, in_background in outline(rng)]
    without_faults = rng.random() < 0.2
    # Each history has kinds of faults of its own: where all are likely, none happens twice.
    weights = [weight * (rng.choice((0, 1, 3, 9)) if name in FAULTS else 1) for name, weight in STEPS.items()]
    for _ in range(rng.randint(0, 5) if steps else rng.randint(2, 8)):
        name = rng.choices(tuple(STEPS), weights)[0]
        if name not in FAULTS:
            steps.insert(rng.randint(0, len(steps)), random_step(name, rng, in_background=rng.random() < 0.3))
        elif not without_faults:
            # Never after the last step, where the fault would have nothing left to affect.
            steps.insert(rng.randint(0, max(0, len(steps) - 1)), random_step(name, rng))
    stops = [step for step in steps if step.name == "stop"]
    for step in stops[MAX_STOPS:]:
        steps.remove(step)
    if "pay_now" not in {step.name for step in steps} and rng.random() < 0.9:
        steps.insert(0, random_step("pay_now", rng))
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


def _refunded_before_confirmation(rng: Random) -> list[tuple[str, bool]]:
    between = [("stop", False)] if rng.random() < 0.5 else []
    return [("pay_now", False), *between, ("pay", rng.random() < 0.5), ("refund_at_stripe", rng.random() < 0.5)]


def _disputed(rng: Random) -> list[tuple[str, bool]]:
    opens = rng.choice((("inquire", "escalate"), ("inquire",), ("dispute",)))
    refunds = rng.choice((("refund",), ("goodwill",), ()))
    return [("pay_now", False), ("pay", False), *((one, False) for one in (*opens, *refunds, "close_dispute"))]


def _unreadable_while_paying(rng: Random) -> list[tuple[str, bool]]:
    paying = [("break_reservation", False), ("pay", rng.random() < 0.5)]
    rng.shuffle(paying)
    return [("pay_now", False), *paying, ("wait_for_workflow", False), ("fix_reservation", False)]


def _paid_elsewhere(rng: Random) -> list[tuple[str, bool]]:
    platform = rng.choice(("confirm_on_platform", "set_status_on_platform", "delete_reservation"))
    concurrent = [("pay", rng.random() < 0.5), (platform, rng.random() < 0.5), ("charge_elsewhere", False)]
    rng.shuffle(concurrent)
    return [("pay_now", False), *concurrent]


_OUTLINES: tuple[Outline, ...] = (
    _random_steps_only,
    _random_steps_only,
    _refunded,
    _refunded,
    _paid_twice,
    _cancelled_while_paying,
    _paid_late,
    _attempts_used_up,
    _refunded_before_confirmation,
    _disputed,
    _unreadable_while_paying,
    _paid_elsewhere,
)
_LONG = {_paid_twice, _attempts_used_up}
