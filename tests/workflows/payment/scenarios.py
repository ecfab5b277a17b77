"""Scenarios: what a guest, Stripe and the platform do with a booking, and how everything must stand afterwards."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.admin_api.executions import Execution
from tests.harness.booking_driver import BookingDriver
from tests.harness.leaks import find_leaks
from tests.harness.running_stack import RunningStack, run_stack

type Play = Callable[[BookingDriver], None]

_STRIPE_ASKED = re.compile(r"(?:AwaitStripe VerifyPayment NextStep\? ?)+")

# Paths through the state machine that many scenarios share; an ending may name them among its states.
_PATHS = {
    "OPENED": "RecordPayment CreateCheckoutSession AwaitPayment",
    "VERIFIED": "VerifyPayment NextStep?",
    "CLOSED": "ExpireCheckoutSessions NextStep?",
    "STRIPE_ASKED_AGAIN": "AwaitStripe VerifyPayment NextStep?",
    "CONFIRMED": "ConfirmReservation AnnouncePayment PaymentConfirmed",
    "FAILED": "RecordFailedAttempt AwaitRetry",
    "OPENED_AGAIN": "RetrySignal? CreateCheckoutSession AwaitPayment",
    "REFUND_STARTED": "RefundUnusablePayment ExpireCheckoutSessions NextStep?",
    "RELEASED": "ReleaseHold AnnounceRelease HoldReleased",
    "NEEDS_ATTENTION": "NotifyOperators NeedsAttention",
}

APPLIED = (45_000, "EUR", "booking")
UNAPPLIED = (45_000, "EUR", "unapplied")
REFUNDED = ("unapplied", 45_000, "succeeded")


@dataclass(frozen=True)
class Ending:
    """How everything stands once nothing is running.

    `states`: as visited, separated by spaces; the number of times that Stripe is asked again depends on the clock, so
    any number of them counts as one. `nights`: each different status, `another's` for a night of another booking.
    `sessions`: their status at Stripe, oldest first. `captures`: amount, currency, role. `attempts`: status, and
    whether counted. `refunds`: kind, amount, status. Where an execution failed, its replacement follows in `states`
    after a bar; `failures` are the errors, else the statuses, of those that failed.
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
    usual |= {"captures": [APPLIED], "attempts": ["paid"]}
    return Ending(states=_visited(states), payment="completed", nights="booked", **(usual | changes))


def released(states: str, **changes: Any) -> Ending:
    """Cancelled by the guest, nothing paid, unless `changes` say otherwise."""
    usual: dict[str, Any] = {"reservation": "cancelled", "nights": "available", "sessions": ["expired"]}
    usual |= {"payment": "expired", "attempts": ["closed"]}
    return Ending(states=_visited(states), **(usual | changes))


def refunded(states: str, **changes: Any) -> Ending:
    """Cancelled by the guest, paid all the same and refunded, unless `changes` say otherwise."""
    usual: dict[str, Any] = {"sessions": ["complete"], "captures": [UNAPPLIED]}
    usual |= {"attempts": ["paid"], "refunds": [REFUNDED]}
    return released(states, **(usual | changes))


def _visited(states: str) -> str:
    return " ".join(_PATHS.get(name, name) for name in states.split())


@dataclass(frozen=True)
class Scenario:
    """`hold_left`: see RunningStack.reserve."""

    name: str
    play: Play
    ending: Ending
    hold_left: float | None


class ScenarioTable:
    """Decorates each scenario with its ending, and with the defects that it shows to be impossible."""

    def __init__(self) -> None:
        self._cases: list[Any] = []

    def __call__(
        self, ending: Ending, *, hold_left: float | None = None, defects: tuple[str, ...] = ()
    ) -> Callable[[Play], Play]:
        def add(play: Play) -> Play:
            scenario = Scenario(play.__name__, play, ending, hold_left)
            marks = [pytest.mark.defect(*defects)] if defects else []
            self._cases.append(pytest.param(scenario, id=scenario.name, marks=marks))
            return play

        return add

    def parametrize(self) -> pytest.MarkDecorator:
        return pytest.mark.parametrize("case", self._cases)


@dataclass(frozen=True)
class Result:
    """`ending` is None when the scenario raised `error`. `unused`: faults that nothing met."""

    error: Exception | None
    ending: Ending | None
    unused: list[str]


@dataclass(frozen=True)
class Results:
    by_play: Mapping[Play, Result]
    leaks: list[str]

    def check(self, scenario: Scenario) -> None:
        """The scenario went as it says, met all its faults, and ended as it must."""
        result = self.by_play[scenario.play]
        if result.error is not None:
            raise result.error
        assert result.ending == scenario.ending
        assert result.unused == []


def play_all(scenarios: Sequence[Scenario]) -> Results:
    """Play one scenario after the other on one stack, with the timers that are deployed."""
    with run_stack(seed=1) as stack:
        results = {scenario.play: _play(stack, scenario) for scenario in scenarios}
        return Results(results, find_leaks(stack))


def _play(stack: RunningStack, scenario: Scenario) -> Result:
    booking = stack.reserve(hold_left=scenario.hold_left)
    try:
        scenario.play(booking)
        stack.wait_until_idle()
    except Exception as error:  # noqa: BLE001 - raised by the scenario's own test
        return Result(error, None, booking.faults.unused())
    return Result(None, _ending(booking), booking.faults.unused())


def _ending(booking: BookingDriver) -> Ending:
    executions = booking.executions()
    payment = booking.payment
    return Ending(
        states=" | ".join(_path(execution) for execution in executions),
        reservation=booking.reservation_status,
        payment=payment["status"],
        nights=booking.nights_status,
        sessions=[session["status"] for session in booking.sessions()],
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
    return _STRIPE_ASKED.sub("AwaitStripe VerifyPayment NextStep? ", " ".join(execution.visited)).strip()
