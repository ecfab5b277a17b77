"""How far a recovery has come, in a file: one that was stopped goes on there."""

from datetime import datetime
from pathlib import Path
from threading import Lock


class Checkpoint:
    """A line for each booking that is done and each hour of events; a line without its end counts for nothing.

    Without a path, nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, Lock()
        self.bookings: set[str] = set()
        self.events_until: datetime | None = None
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
                kind, _, value = line.partition(" ")
                if kind == "booking":
                    self.bookings.add(value)
                else:
                    self.events_until = datetime.fromisoformat(value)

    def booking_done(self, reservation_id: str) -> None:
        self._write(f"booking {reservation_id}")

    def events_done(self, until: datetime) -> None:
        self._write(f"events {until.isoformat()}")

    def end(self) -> None:
        """Forget it: everything is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(exist_ok=True)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
