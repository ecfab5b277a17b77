"""Random histories: what a guest, Stripe, AWS, the platform and the operators do to one booking.

A history depends on its seed alone, and so does what comes of it: which thread runs when, and how long each call takes.
"""

import json
from dataclasses import asdict, dataclass, replace
from random import Random

from local.fake_stripe.webhook_delivery import Mode as WebhookMode
from tests.properties.simulation.outlines import HOLDS, OUTLINES, outlines_to
from tests.properties.simulation.places import MET, STATES, STOPPABLE, STRIPE_FAULTS
from tests.properties.simulation.steps import (
    FAULTS,
    FOREIGN_STATUSES,
    STEPS,
    TAGS,
    UNREADABLE,
    Step,
    act_at,
    fault_at,
    function_fault,
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
        *("refund elsewhere", "reservation deleted", "record read", "matter closed", "a fraud warning"),
        *(f"status {status} by the platform" for status in ("confirmed", *FOREIGN_STATUSES)),
        *(f"unreadable {name}" for name in UNREADABLE),
        *("unapplied payment refunded", "a failed refund", "a replacement execution"),
    }
)

MAX_STOPS = 3  # an execution is replaced this many times
ACTS_AT_ONCE = 6  # when an execution enters the state that a history is steered to
NOT_STEERED = 5  # one in so many histories is drawn at random alone


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
    at_state = _at_one_state(seed, rng)
    # Where events are lost, no payment is verified at once, and nothing is refunded before it is confirmed.
    lost = 0 if at_state is not None and _needs_events(at_state[0]) else 2
    webhooks = rng.choices(WEBHOOK_MODES, (5, lost, lost, 1, 1))[0]
    outline = rng.choice(OUTLINES if at_state is None else outlines_to(at_state[0]))
    steps = outline(rng)
    without_faults = rng.random() < 0.2
    # Each history has kinds of faults of its own: where all are likely, none happens twice.
    weights = [weight * (rng.choice((0, 1, 3, 9)) if name in FAULTS else 1) for name, weight in STEPS.items()]
    most = 5 if at_state is None else 2  # what comes in between may lead elsewhere than to the state
    for _ in range(rng.randint(0, most) if steps else rng.randint(2, 8)):
        name = rng.choices(tuple(STEPS), weights)[0]
        if name not in FAULTS:
            steps.insert(rng.randint(0, len(steps)), random_step(name, rng, in_background=rng.random() < 0.3))
        elif not without_faults:
            # Never after the last step, where the fault would have nothing left to affect.
            steps.insert(rng.randint(0, max(0, len(steps) - 1)), random_step(name, rng))
    if at_state is not None:
        steps = [*at_state[1], *steps]
    stops = [step for step in steps if step.name in {"stop", "stop_in"}]
    for step in stops[MAX_STOPS:]:
        steps.remove(step)
    if "pay_now" not in {step.name for step in steps} and rng.random() < 0.9:
        steps.insert(0, random_step("pay_now", rng))
    usual = (0.5, *(1.5, 2.2, 3.2) * 3, 48)
    hold = rng.choice(HOLDS.get(outline, usual if at_state is None else usual[1:]))  # too short a hold leads nowhere
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


def _needs_events(state: str) -> bool:
    return state == "VerifyPayment" or STATES[state].workflow == "refund"


def _at_one_state(seed: int, rng: Random) -> tuple[str, list[Step]] | None:
    """A state, and what happens when an execution enters it.

    Not drawn, but the next of all states, acts and faults: rare ones are met as often as others.
    """
    group, rest = divmod(seed, NOT_STEERED)
    if rest == 0:
        return None
    turn, number = divmod(group * (NOT_STEERED - 1) + rest - 1, len(MET) - 1)
    state = MET[1 + number]
    acts = [act_at(state, ACTS_AT_ONCE * turn + 7 * number + one, rng) for one in range(ACTS_AT_ONCE)]
    outside = [function_fault(2 * seed + one, rng, at=state) for one in range(2)] if turn % 2 else []
    if state not in STOPPABLE or turn % 3 == 0:
        return state, acts + outside
    with_faults = turn - turn // 3 - 1  # counted without the turns that have none, or a third is never drawn
    return state, acts + outside + [fault_at(state, 3 * with_faults + 5 * number + one, rng) for one in range(3)]
