"""Scenarios: what a guest, Stripe and the platform do with a booking, and how everything must stand afterwards."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.admin_api.executions import Execution
from tests.harness.booking_driver import BookingDriver
from tests.harness.running_stack import RunningStack, run_stack
from tests.harness.tables import read_tables

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
    "REMINDED": "HoldEnding? PublishHoldEnding AwaitRetry",
    "HOLD_OVER": "HoldEnding?",
    "OPENED_AGAIN": "RetrySignal? CreateCheckoutSession AwaitPayment",
    "REFUND_STARTED": "RefundUnusablePayment ExpireCheckoutSessions NextStep?",
    "RELEASED": "ReleaseHold AnnounceRelease HoldReleased",
    "NEEDS_ATTENTION": "NotifyOperators NeedsAttention",
}


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
    captures: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


_CONFIRMED: dict[str, Any] = {
    "reservation": "confirmed",
    "payment": "completed",
    "nights": "booked",
    "sessions": ["complete"],
    "captures": ["45000 EUR booking"],
    "attempts": ["paid"],
}
_RELEASED: dict[str, Any] = {
    "reservation": "cancelled",
    "payment": "expired",
    "nights": "available",
    "sessions": ["expired"],
    "attempts": ["closed"],
}
_REFUNDED = _RELEASED | {
    "sessions": ["complete"],
    "captures": ["45000 EUR unapplied"],
    "attempts": ["paid"],
    "refunds": ["unapplied 45000 succeeded"],
}
# How scenarios end, unless their table says otherwise: paid in the first session; cancelled by the guest and nothing
# paid; cancelled by the guest, paid all the same and refunded.
_ENDS = {"confirmed": _CONFIRMED, "released": _RELEASED, "refunded": _REFUNDED}


def _ending_of(*, ends: str, states: str, **changes: Any) -> Ending:
    return Ending(**_ENDS[ends] | {"states": " ".join(_PATHS.get(name, name) for name in states.split())} | changes)


@dataclass(frozen=True)
class Scenario:
    """`hold_left`: see RunningStack.reserve. `opened`: the first session is open when it begins."""

    name: str
    play: Play
    ending: Ending
    hold_left: float | None
    opened: bool


class ScenarioTable:
    """Decorates each scenario of a module, whose ending is in the table beside it, under the same name."""

    def __init__(self, module: str) -> None:
        self._endings = read_tables(Path(module))
        self._cases: list[Any] = []

    def __call__(self, play: Play, *, opened: bool = False) -> Play:
        ending = dict(self._endings[play.__name__])
        marks = [pytest.mark.defect(*ending.pop("defects"))] if "defects" in ending else []
        hold_left = ending.pop("hold_left", None)
        scenario = Scenario(play.__name__, play, _ending_of(**ending), hold_left, opened)
        self._cases.append(pytest.param(scenario, id=scenario.name, marks=marks))
        return play

    def opened(self, play: Play) -> Play:
        """The guest has pressed "Pay now" and been offered the first session."""
        return self(play, opened=True)

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

    def check(self, scenario: Scenario) -> None:
        """The scenario went as it says, met all its faults, and ended as it must."""
        result = self.by_play[scenario.play]
        if result.error is not None:
            raise result.error
        assert result.ending == scenario.ending
        assert result.unused == []


def play_all(scenarios: Sequence[Scenario]) -> Results:
    """Play one scenario after the other on one stack, with the timers that are deployed."""
    with run_stack(seed=1, take_short_cut=True) as stack:
        results = {scenario.play: _play(stack, scenario) for scenario in scenarios}
        return Results(results)


def _play(stack: RunningStack, scenario: Scenario) -> Result:
    booking = stack.reserve(hold_left=scenario.hold_left)
    try:
        if scenario.opened:
            assert booking.pay_now().outcome == (201, 1)
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
            f"{capture['amount']} {capture['currency']} {capture.get('role', 'none')}"
            for capture in payment["captures"].values()
        ),
        attempts=[
            attempt["status"] + ("" if attempt["counted"] else ", not counted")
            for _, attempt in sorted(payment["attempts"].items())
        ],
        refunds=sorted(f"{one['kind']} {one['amount']} {one['status']}" for one in payment["refunds"].values()),
        failures=[execution.error or execution.status for execution in executions if execution.status != "SUCCEEDED"],
    )


def _path(execution: Execution) -> str:
    return _STRIPE_ASKED.sub("AwaitStripe VerifyPayment NextStep? ", " ".join(execution.visited)).strip()
