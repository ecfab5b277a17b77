"""How rarely this process collects garbage.

AWS, the program and its definitions are half a million objects that stay. With Python's usual thresholds, going
through them takes a fifth of the time to start the stack, and a quarter of that to serve a crowd. Much rarer
than this would be too rare: what has ended keeps its memory until it is collected.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = (200_000, 10, 10)


def collect_rarely() -> None:
    gc.set_threshold(*_THRESHOLDS)


@contextmanager
def none_collected() -> Iterator[None]:
    """Until the end of the block, or until `collect_the_rest`: next to nothing of a start is garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def collect_the_rest() -> None:
    """Collect garbage from now on, among what comes: what is there now stays."""
    gc.freeze()
    gc.enable()
