"""How rarely this process collects garbage.

AWS, the program and its definitions are half a million objects that stay. With Python's usual thresholds, going
through them takes a fifth of the time to start the stack, and a quarter of that to serve a crowd.
"""

import gc

_THRESHOLDS = (100_000, 20, 100)


def collect_rarely() -> None:
    gc.set_threshold(*_THRESHOLDS)
