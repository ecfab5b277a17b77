"""The one way in which tests wait for something to happen."""

import time
from collections.abc import Callable

PATIENCE = 90.0  # seconds; only a failing test waits this long, and no test asserts how long a wait took


class WaitTimeoutError(AssertionError):
    """The condition did not come true in time."""


def wait_until[Found](
    check: Callable[[], Found | None], what: str | Callable[[], str], *, seconds: float = PATIENCE
) -> Found:
    """What `check` returns, as soon as that is true.

    A LookupError means "not yet", since many conditions read something that does not exist at first. `what` completes
    the sentence "waited for …"; a function is called only when the wait fails. Raises WaitTimeoutError.
    """
    deadline = time.monotonic() + seconds
    pause = 0.03
    while True:
        missing: LookupError | None = None
        try:
            if found := check():
                return found
        except LookupError as error:
            missing = error
        if time.monotonic() > deadline:
            described = what if isinstance(what, str) else what()
            raise WaitTimeoutError(f"waited {seconds:g} s for {described}") from missing
        time.sleep(pause)
        pause = min(0.3, pause * 1.3)
