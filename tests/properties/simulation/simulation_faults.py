"""The faults of one booking in a simulation: failing calls, crashing functions, stopped executions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from local.admin_api.executions import Workflow
from tests.harness.fault_injection import BookingFaults, Moment


@dataclass
class Invocation:
    """One run of a function and the outside calls that it has made so far.

    `run`: how often the function has run for the booking before. A run that handles many bookings keeps the calls for
    each in `by_booking`; `current` is the booking of its latest call.
    """

    function: str
    booking: str
    run: int = 0
    calls: list[str] = field(default_factory=list)
    crashed: bool = False
    by_booking: dict[str, "Invocation"] = field(default_factory=dict)
    current: str = ""


def without_repeats(calls: Sequence[str]) -> tuple[str, ...]:
    """Count polling as one call, however long it takes."""
    return tuple(call for number, call in enumerate(calls) if number == 0 or call != calls[number - 1])


@dataclass(frozen=True)
class Crash:
    """The function's process ends right before or right after its n-th outside call, counted from 0.

    `operation`: count only the calls of this operation. `run`: crash only in this run for the booking. `path`: crash at
    the call that these calls, `without_repeats`, have led to, whatever its number.
    """

    function: str
    call: int
    moment: Moment
    operation: str | None = None
    run: int | None = None
    path: tuple[str, ...] | None = None

    def matches(self, invocation: Invocation, number: int, moment: Moment) -> bool:
        """Whether the invocation crashes at its call of this number."""
        if (self.function, self.moment) != (invocation.function, moment):
            return False
        if self.path is not None:
            return self.path == without_repeats(invocation.calls[: number + 1])
        counted = number if self.operation is None else invocation.calls[:number].count(self.operation)
        return (
            self.call == counted
            and self.operation in {None, invocation.calls[number]}
            and self.run in {None, invocation.run}
        )


@dataclass(frozen=True)
class Stop:
    """A booking's execution is stopped in a state, the first time that it reaches it.

    `entered`: before the state does anything. `calling`: just before its call, which is still made. `waiting`: once the
    task token is stored. `finished`: after the state's work, before its result is recorded.
    """

    workflow: Workflow
    state: str
    moment: Literal["entered", "calling", "waiting", "finished"]

    def __str__(self) -> str:
        return f"{self.workflow} stopped in {self.state}, {self.moment}"


@dataclass
class SimulationFaults(BookingFaults):
    """`occurred`: how often each kind of fault has happened.

    `delayed_writes`: how many writes of a task token are to fail and be executed later all the same. `events_lost`:
    Stripe does not even list undelivered events. `runs`: how often each function has run for the booking.
    """

    crashes: list[Crash] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    delayed_writes: int = 0
    events_lost: bool = False
    runs: Counter[str] = field(default_factory=Counter)
    occurred: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Remove the faults that are still to come, except those of webhooks."""
        self.delayed_writes = 0
        self.clear_aws()
        self.stripe.clear()
        self.crashes.clear()
        self.stops.clear()
