"""How often this process looks for garbage.

AWS, the program and its definitions are half a million objects that stay. With Python's usual thresholds, looking
through them takes a quarter of the time to start the stack, and a third of that to serve a crowd.
"""

import gc

_THRESHOLDS = (100_000, 20, 100)


def collect_rarely() -> None:
    gc.set_threshold(*_THRESHOLDS)
