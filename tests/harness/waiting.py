"""The one way in which tests wait for something to happen."""

import time
from collections.abc import Callable

from local.virtual_time.virtual_time import scheduler

PATIENCE = 90.0  # seconds; only a failing test waits this long, and no test asserts how long a wait took
VIRTUAL_PATIENCE = 10 * 86_400.0  # the same in virtual time, in which holds last a day


class WaitTimeoutError(AssertionError):
    """The condition did not come true in time."""


def wait_until[Found](
    check: Callable[[], Found | None], what: str | Callable[[], str], *, seconds: float | None = None
) -> Found:
    """What `check` returns, as soon as that is true. In virtual time, as soon as everything is at rest.

    A LookupError means "not yet", since many conditions read something that does not exist at first. `what` completes
    the sentence "waited for …"; a function is called only when the wait fails. Raises WaitTimeoutError.
    """
    virtual = scheduler()
    seconds = seconds or (PATIENCE if virtual is None else VIRTUAL_PATIENCE)
    deadline = time.monotonic() + seconds
    pause, possible = 0.03, True
    while True:
        missing: LookupError | None = None
        try:
            if found := check():
                if virtual is not None:
                    virtual.tell_news()
                return found
        except LookupError as error:
            missing = error
        if time.monotonic() >= deadline or not possible:
            described = what if isinstance(what, str) else what()
            raise WaitTimeoutError(f"waited {seconds:g} s for {described}") from missing
        if virtual is not None:
            possible = virtual.wait_for_news(deadline)
        else:
            time.sleep(pause)
            pause = min(0.3, pause * 1.3)
