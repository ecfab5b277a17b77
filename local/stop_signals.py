"""Ctrl-C and SIGTERM, without a traceback and without a half-finished start or end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

INTERRUPTED = 130  # the exit code that shells give a command which Ctrl-C ended


class StopSignals:
    """Raises KeyboardInterrupt for a stop signal, but only inside `allowed`: elsewhere it is postponed until then.

    Starting and stopping are not interrupted, since that would leave threads and processes behind. A second signal ends
    the process at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self._allowed = False

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        try:
            self._allowed = True
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._allowed = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            os._exit(INTERRUPTED)
        self.requested = True
        # Not print: the signal may have interrupted one.
        os.write(2, b"stopping; press Ctrl-C again to quit immediately\n")
        if self._allowed:
            raise KeyboardInterrupt
