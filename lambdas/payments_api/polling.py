"""How a call waits for the workflow before it answers that the work is not done yet."""

import itertools
import time
from collections.abc import Callable, Iterator

PATIENCE = 8.0  # seconds that a call waits in all
# Seconds before the first and between two reads while a session is being opened: Stripe answers in 0.3 s at best.
FIRST_PAUSE, NEXT_PAUSE = 0.4, 0.15
POLL_INTERVAL = 0.25  # seconds between two reads of a refund or a release, which take a second or two


def deadline() -> float:
    """When a call that begins now stops waiting."""
    return time.monotonic() + PATIENCE


def poll[State](
    read: Callable[[], State],
    *,
    until: Callable[[State], bool],
    pauses: Iterator[float] | None = None,
    deadline: float | None = None,
) -> State:
    """Read after each pause until a state satisfies `until` or the time is up, and return the last state read.

    By default the pauses are steady, and the time is counted from now.
    """
    pauses = pauses or steady_pauses()
    deadline = deadline or time.monotonic() + PATIENCE
    while True:
        time.sleep(next(pauses))
        state = read()
        if until(state) or time.monotonic() > deadline:
            return state


def steady_pauses() -> Iterator[float]:
    """Read at once, then at a fixed interval."""
    return itertools.chain([0.0], itertools.repeat(POLL_INTERVAL))


def session_pauses() -> Iterator[float]:
    """Read no earlier than a session can be open, then often."""
    return itertools.chain([FIRST_PAUSE], itertools.repeat(NEXT_PAUSE))
