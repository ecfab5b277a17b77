"""Stories: what a guest, Stripe and the platform do, and the ending that it must lead to."""

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from local import credentials
from local.admin_api.executions import Execution
from local.fake_stripe.cards import CARDS
from local.stack import LocalStack
from tests.workflows.payment.scenario_stage import Guest, Stage

type Play = Callable[[Guest], None]

WORKERS = 6
_LOOKS = re.compile(r"(?:AwaitStripe VerifyPayment NextStep\? ?)+")

# Ways through the state machine that many stories share.
OPENED = "RecordPayment CreateCheckoutSession AwaitPayment"
VERIFIED = "VerifyPayment NextStep?"
CLOSED = "ExpireCheckoutSessions NextStep?"
STRIPE_ASKED_AGAIN = "AwaitStripe VerifyPayment NextStep?"
CONFIRMED = "ConfirmReservation AnnouncePayment PaymentConfirmed"
FAILED = "RecordFailedAttempt AwaitRetry"
OPENED_AGAIN = "RetrySignal? CreateCheckoutSession AwaitPayment"
HANDED_OVER = "RefundUnusablePayment ExpireCheckoutSessions NextStep?"
LOST = f"{OPENED} {VERIFIED} ConfirmReservation {HANDED_OVER}"
RELEASED = "ReleaseHold AnnounceRelease HoldReleased"
CALLED_A_PERSON = "NotifyOperators NeedsAttention"
AFTER_ONE_EXPIRY = f"{OPENED} {VERIFIED} {FAILED} {OPENED_AGAIN}"

OWN = (45_000, "EUR", "booking")
UNAPPLIED = (45_000, "EUR", "unapplied")
REFUNDED = ("unapplied", 45_000, "succeeded")


@dataclass(frozen=True)
class Ending:
    """How everything stands when nothing moves any more.

    `states`: as visited, with a space between them; looks at a Stripe that has no answer yet count as one, since their
    number depends on the clock. `nights`: each different status, those of somebody else's as `another's`. `sessions`:
    their status at Stripe, oldest first. `captures`: amount, currency, role. `attempts`: status, and whether counted.
    `refunds`: kind, amount, status. Where executions died, their replacements follow in `states` after a bar;
    `failures` are the errors they died of, else their status.
    """

    states: str
    reservation: str
    payment: str
    nights: str
    sessions: list[str]
    captures: list[tuple[int, str, str]] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    refunds: list[tuple[str, int, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def confirmed(states: str, **changes: Any) -> Ending:
    """Paid in the first session, unless `changes` say otherwise."""
    usual: dict[str, Any] = {"reservation": "confirmed", "sessions": ["complete"]}
    usual |= {"captures": [OWN], "attempts": ["paid"]}
    return Ending(states=states, payment="completed", nights="booked", **(usual | changes))


def released(states: str, **changes: Any) -> Ending:
    """Cancelled by the guest, nothing paid, unless `changes` say otherwise."""
    usual: dict[str, Any] = {"reservation": "cancelled", "nights": "available", "sessions": ["expired"]}
    usual |= {"payment": "expired", "attempts": ["closed"]}
    return Ending(states=states, **(usual | changes))


@dataclass(frozen=True)
class Story:
    """`timers`: it waits for them most of the time, and keeps no other from its turn."""

    name: str
    play: Play
    ending: Ending
    hold_left: float | None
    timers: bool

    def tell(self, guest: Guest) -> None:
        guest.reserve(self.hold_left)
        try:
            self.play(guest)
        finally:
            guest.meanwhile.shutdown()


class Stories(list[Story]):
    """Decorate with the ending what leads to it; `hold_left`: in seconds, where the reservation is not just made."""

    def __init__(self, *, timers: bool = False) -> None:
        super().__init__()
        self.timers = timers

    def __call__(self, ending: Ending, *, hold_left: float | None = None) -> Callable[[Play], Play]:
        def add(play: Play) -> Play:
            self.append(Story(play.__name__, play, ending, hold_left, self.timers))
            return play

        return add


@dataclass(frozen=True)
class Played:
    """What became of one story; `unused` are faults_injected that were pulled to no effect."""

    story: Future[None]
    ending: Ending | None
    unused: list[str]


@dataclass(frozen=True)
class Run:
    played: Mapping[str, Played]
    leaks: list[str]


def _ending(guest: Guest) -> Ending:
    executions = guest.executions()
    payment = guest.payment()
    return Ending(
        states=" | ".join(_path(execution) for execution in executions),
        reservation=guest.stage.admin.reservation(guest.id)["status"],
        payment=payment["status"],
        nights=", ".join(sorted({guest.night(night) for night in guest.nights})),
        sessions=[session["status"] for session in guest.sessions()],
        captures=sorted(
            (capture["amount"], capture["currency"], capture.get("role", "none"))
            for capture in payment["captures"].values()
        ),
        attempts=[
            attempt["status"] + ("" if attempt["counted"] else ", not counted")
            for _, attempt in sorted(payment["attempts"].items())
        ],
        refunds=sorted((refund["kind"], refund["amount"], refund["status"]) for refund in payment["refunds"].values()),
        failures=[execution.error or execution.status for execution in executions if execution.status != "SUCCEEDED"],
    )


def _path(execution: Execution) -> str:
    return _LOOKS.sub("AwaitStripe VerifyPayment NextStep? ", " ".join(execution.visited)).strip()


def play(stories: Sequence[Story], config: Mapping[str, int]) -> Run:
    """Every story on one stack, several at a time; read how each has ended once everything has come to rest."""
    with _started(config) as stack, pytest.MonkeyPatch.context() as patch:
        stage = Stage(stack, patch, config)
        guests = {story.name: Guest(stage) for story in stories}
        patient = sum(story.timers for story in stories)
        with ThreadPoolExecutor(patient or 1) as waiting, ThreadPoolExecutor(WORKERS) as workers:
            told = {
                story.name: (waiting if story.timers else workers).submit(story.tell, guests[story.name])
                for story in stories
            }
        stage.settle()
        played = {
            name: Played(
                story=future,
                ending=_ending(guests[name]) if future.exception() is None else None,
                unused=guests[name].unused(),
            )
            for name, future in told.items()
        }
        return Run(played, list(_leaks(stage, [guest.token for guest in guests.values() if guest.token])))


@contextmanager
def _started(config: Mapping[str, int]) -> Iterator[LocalStack]:
    with ExitStack() as running:
        with warnings.catch_warnings():
            # pulumi_aws complains of its own modules when they are first imported.
            warnings.filterwarnings("ignore", r"aws\.", DeprecationWarning)
            stack = running.enter_context(LocalStack(config=config))
        yield stack


# What must not be in a log line or in an execution's input and output.


def _leaks(stage: Stage, guest_tokens: Sequence[str]) -> Iterator[str]:
    task_tokens: set[str] = set()
    passed: list[tuple[str, str]] = [("the log", stage.stack.log.read_text(encoding="utf-8"))]
    for machine in ("paymentStateMachineArn", "refundStateMachineArn"):
        pages = stage.states.get_paginator("list_executions").paginate(stateMachineArn=stage.stack.outputs[machine])
        for execution in (execution for page in pages for execution in page["executions"]):
            history = stage.states.get_execution_history(executionArn=execution["executionArn"])["events"]
            task_tokens.update(token for event in history for token in _task_tokens(event))
            passed.append((execution["name"], "\n".join(text for event in history for text in _passed_on(event))))
    secrets = {
        "a secret": [credentials.STRIPE_API_KEY, credentials.WEBHOOK_SECRET],
        "a guest's token": guest_tokens,
        "a card number": CARDS,
        "a task token": task_tokens,
        "an e-mail address": ["@example.com"],
    }
    assert task_tokens
    for where, text in passed:
        yield from (f"{what} in {where}" for what, values in secrets.items() if any(one in text for one in values))


def _passed_on(event: Mapping[str, Any]) -> Iterator[str]:
    """Input and output of executions and states, and what functions were given and answered."""
    for details in event.values():
        if isinstance(details, dict):
            for name in ("input", "output", "cause"):
                if name in details:
                    yield str(details[name])
            if details.get("resource") == "invoke" and "parameters" in details:
                yield str(details["parameters"])


def _task_tokens(event: Mapping[str, Any]) -> Iterator[str]:
    """Where Step Functions itself writes them: in what an integration is asked to do."""
    parameters = event.get("taskScheduledEventDetails", {}).get("parameters", "{}")
    token = json.loads(parameters).get("ExpressionAttributeValues", {}).get(":token", {})
    yield from token.values()
