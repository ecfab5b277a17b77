"""Where the output of functions goes: JSON logs and metrics to a file, everything else to the screen."""

import io
import logging
import sys
import threading
from pathlib import Path
from typing import TextIO

from local.aws.aws_account import current_function


class _FunctionLog(io.TextIOBase):
    """A replacement for sys.stdout that writes the output of functions to the log."""

    def __init__(self) -> None:
        self.screen: TextIO = sys.stdout
        self.log: TextIO | None = None
        self._attached: set[str] = set()
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        if self.log is None or current_function.get() is None:
            return self.screen.write(text)
        with self._lock:
            return self.log.write(text)

    def flush(self) -> None:
        if not self.screen.closed:
            self.screen.flush()

    def attach(self, module: str = "") -> None:
        """Replace sys.stdout (again: pytest, for one, puts another in its place now and then)."""
        if self.log is None or (sys.stdout is self and module in self._attached):
            return
        self._attached.add(module)
        if sys.stdout is not self:
            self.screen = sys.stdout
            sys.stdout = self
        for logger in list(logging.Logger.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", []):
                # Powertools keeps the sys.stdout that it found at import.
                if type(handler.formatter).__name__ == "LambdaPowertoolsFormatter" and handler.stream is not self:
                    handler.setStream(self)

    def release(self) -> None:
        """Restore sys.stdout and close the log."""
        if sys.stdout is self:
            sys.stdout = self.screen
        if self.log is not None:
            self.log.close()
            self.log = None
            self._attached.clear()


function_log = _FunctionLog()


def log_functions_to(path: Path) -> None:
    """From now on everything that functions print goes to this file, which begins anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    # Appended to, so that whoever empties the file meanwhile leaves no hole at its beginning.
    function_log.log = path.open("a", buffering=1, encoding="utf-8")
    function_log.attach()
