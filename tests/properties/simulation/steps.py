"""The steps of random histories: which there are, how often each is drawn, and with which arguments."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from tests.harness.booking_driver import CHALLENGED, DECLINED, NO_FUNDS, REFUND_FAILS_LATER, REFUND_PENDING, VISA
from tests.properties.simulation.operator_acts import CLOSABLE
from tests.properties.simulation.places import CALLS, REFUSED_FOR_GOOD, STATES, STOPPABLE, STRIPE_FAULTS, aws_faults

CARDS = {VISA: 10, DECLINED: 3, NO_FUNDS: 1, CHALLENGED: 3, REFUND_FAILS_LATER: 2, REFUND_PENDING: 2}
PRICE = 45_000  # cents
TAGS = ("ours", "another stack", "none")  # whose metadata a charge of another system carries
FOREIGN_STATUSES = ("checked_in", "no_show")
# What the platform may write that we cannot read.
UNREADABLE: Mapping[str, str] = {
    "check_in": "2027-01-10T15:00:00+01:00",
    "total_amount": "45000",
    "created_at": "yesterday",
}
PAUSES = (0.0, 0.0, 0.0, 0.05, 0.5, 5.0, 120.0)  # seconds

STRIPE_OPERATIONS = (
    "checkout.sessions.create",
    "checkout.sessions.retrieve",
    *sorted(REFUSED_FOR_GOOD),
    "refunds.list",
)
FUNCTIONS = tuple(CALLS)
OUTSIDE = ("payments_api", "stripe_webhook", "reconcile_payments", "operations_api")  # no state calls these


class Step(NamedTuple):
    """A call of the `HistoryDriver` method `name`.

    `in_background`: the next step does not wait for this one. `pause`: seconds before it. `at`: when an execution
    enters this state, and only then.
    """

    name: str
    args: tuple[Any, ...] = ()
    in_background: bool = False
    pause: float = 0.0
    at: str = ""

    def __str__(self) -> str:
        text = f"{self.name}({', '.join(map(str, self.args))})"
        text = f"{text} at {self.at}" if self.at else text
        return f"{text} in background" if self.in_background else text


FAULTS = {"fail_stripe", "fail_aws", "crash", "delay_write", "stop_in"}
STEPS = {
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
    "wait_for_stripe": 0,
    "stop": 3,
    "cancel_on_platform": 1,
    "reprice": 2,
    "lose_night": 1,
    "refund": 3,
    "refund_by_operator": 1,
    "goodwill": 2,
    "refund_in_dashboard": 1,
    "charge_elsewhere": 2,
    "refund_elsewhere": 1,
    "refund_at_stripe": 1,
    "inquire": 1,
    "dispute": 1,
    "escalate": 1,
    "close_dispute": 1,
    "confirm_on_platform": 1,
    "set_status_on_platform": 1,
    "delete_reservation": 1,
    "break_reservation": 2,
    "fix_reservation": 1,
    "grant_attempt": 1,
    "read_record": 1,
    "close_matter": 2,
    "resolve_refund": 1,
    "warn_of_fraud": 1,
    "request_as_stranger": 1,
    "release_webhooks": 1,
    "reconcile": 2,
    "fail_stripe": 7,
    "fail_aws": 8,
    "crash": 8,
    "delay_write": 3,
    "stop_in": 2,
}
# What people do, as opposed to chance and time.
ACTS = tuple(
    name
    for name in STEPS
    if name not in FAULTS | {"stop", "reconcile", "release_webhooks"} and not name.startswith("wait_for_")
)


def random_step(name: str, rng: Random, *, in_background: bool = False) -> Step:
    args = _ARGS[name](rng) if name in _ARGS else ()
    return Step(name, args, in_background, rng.choice(PAUSES))


def _pay(rng: Random) -> tuple[Any, ...]:
    card = rng.choices(tuple(CARDS), tuple(CARDS.values()))[0]
    return (card, rng.choices(("passed", "failed", "unresolved"), (6, 2, 2))[0])


def _fail_stripe(rng: Random) -> tuple[Any, ...]:
    operation = rng.choice((*STRIPE_OPERATIONS, "*", "*", "*"))
    refusals = ("refuse", "refuse") if operation in REFUSED_FOR_GOOD else ()
    return (operation, rng.choice((*STRIPE_FAULTS, *refusals)), rng.choice((1, 2, 5)))


def _fail_aws(rng: Random) -> tuple[Any, ...]:
    """A call that somebody makes: a function, or a state itself."""
    if rng.random() < 0.3:
        operation, caller = rng.choice([call for state in STATES.values() for call in state.calls]), "states"
    else:
        caller = rng.choice(FUNCTIONS)
        operation = rng.choice([call for call in CALLS[caller] if call != "stripe"])
    return (operation, rng.choice(aws_faults(operation)), rng.choice((1, 1, 3)), caller)


def _crash(rng: Random) -> tuple[Any, ...]:
    return (rng.choice(FUNCTIONS), rng.randrange(4), rng.choice(("before", "after", "after")))


def _stop_in(rng: Random) -> tuple[Any, ...]:
    return rng.choice([stop for name in STOPPABLE for stop in _stops(name)])


def _stops(name: str) -> list[tuple[Any, ...]]:
    """Every moment at which an execution can be stopped in a state."""
    state = STATES[name]
    moments = ["entered"]
    if state.kind == "Task":
        moments += ["calling", "finished"] + ["waiting"] * name.startswith("Await")
    return [(state.workflow, name.removesuffix(" (refund)"), moment) for moment in moments]


def fault_at(name: str, number: int, rng: Random) -> Step:
    """A fault that the next execution to enter the state can meet there; the number says of which kind."""
    state = STATES[name]
    kinds = [[Step("stop_in", stop) for stop in _stops(name)]]
    if state.function is not None:
        kinds += _faults_of(state.function, rng, name)
    if state.calls:
        kinds += _failing_calls(state.calls, "states", rng, name)
    if name.startswith("Await") and state.calls:
        kinds.append([Step("delay_write", at=name)])
    return rng.choice(kinds[number % len(kinds)])


def function_fault(number: int, rng: Random, at: str) -> Step:
    """A fault that a function which no state calls can meet from the state on; the number says of which kind."""
    kinds = [kind for name in OUTSIDE for kind in _faults_of(name, rng, at)]
    return rng.choice(kinds[number % len(kinds)])


def _faults_of(function: str, rng: Random, at: str) -> list[list[Step]]:
    """By kind, the faults that a function can meet."""
    calls = CALLS[function]
    kinds = [
        [Step("crash", (function, n, moment), at=at) for n in (0, 0, 1, 1, 2, 3)] for moment in ("before", "after")
    ]
    if "stripe" in calls:
        refusals = ("refuse",) if at in {"CreateCheckoutSession", "ExpireCheckoutSessions", "CreateRefund"} else ()
        times = rng.choice((1, 1, 3))
        kinds += [[Step("fail_stripe", ("*", kind, times), at=at)] for kind in (*STRIPE_FAULTS, *refusals)]
    return kinds + _failing_calls(calls, function, rng, at)


def _failing_calls(calls: Sequence[str], caller: str, rng: Random, at: str) -> list[list[Step]]:
    """By service and kind, the ways in which the caller's calls to AWS fail."""
    kinds: defaultdict[tuple[str, str], list[Step]] = defaultdict(list)
    for call in calls:
        for kind in aws_faults(call) if call != "stripe" else ():
            step = Step("fail_aws", (call, kind, rng.choice((1, 1, 3)), caller), at=at)
            kinds[call.partition(".")[0], kind].append(step)
    return [*kinds.values()]


def act_at(name: str, number: int, rng: Random) -> Step:
    """Something that somebody does just when an execution enters the state; the number says what."""
    return random_step(ACTS[number % len(ACTS)], rng, in_background=True)._replace(pause=0.0, at=name)


def _some_of_the_price(rng: Random) -> tuple[Any, ...]:
    return (rng.choice((PRICE, PRICE // 2, 1_000)), rng.randrange(3))


_ARGS: Mapping[str, Callable[[Random], tuple[Any, ...]]] = {
    "pay": _pay,
    "pay_in_old_tab": lambda rng: (rng.randrange(4),),
    "reprice": lambda rng: (rng.choice((PRICE + 5_000, PRICE - 5_000, PRICE)),),
    "refund_by_operator": lambda rng: (rng.choice((PRICE, 1_000)),),
    "goodwill": _some_of_the_price,
    "refund_in_dashboard": _some_of_the_price,
    "stop": lambda rng: (rng.choice(("payment", "refund")), rng.choice(PAUSES)),
    "charge_elsewhere": lambda rng: (rng.choice(TAGS), rng.choice((PRICE, 10_000)), rng.randrange(2)),
    "refund_at_stripe": lambda rng: (rng.choice((PRICE, PRICE // 2)),),
    "resolve_refund": lambda rng: (rng.choice(("retry", "settled_elsewhere")),),
    "close_matter": lambda rng: (rng.choice(CLOSABLE),),
    "close_dispute": lambda rng: (rng.choice(("won", "lost")),),
    "set_status_on_platform": lambda rng: (rng.choice(FOREIGN_STATUSES),),
    "break_reservation": lambda rng: (rng.choice(tuple(UNREADABLE)),),
    "fail_stripe": _fail_stripe,
    "fail_aws": _fail_aws,
    "crash": _crash,
    "stop_in": _stop_in,
}
