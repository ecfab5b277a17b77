"""One thread runs at a time, chosen by a seed; when none can run, the time jumps to the next timer."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import get_ident

# Everything is at rest when the next timer is further away than this: no call and no poll of a function is under way.
REST_SECONDS = 0.05

_new_lock = threading.Lock


class StuckError(Exception):
    """No thread can run, and none ever will."""


def _closed_gate() -> threading.Lock:
    gate = _new_lock()
    gate.acquire()
    return gate


@dataclass(eq=False)
class Task:
    """A thread that takes turns. `turn` counts them; `ready`: it waits for nothing but its turn.

    `seen`: how much had happened when it last looked for news. `stuck`: it is woken because nothing will ever happen.
    `joiners`: who waits for its end.
    """

    number: int
    gate: threading.Lock = field(default_factory=_closed_gate)
    turn: int = 0
    ready: bool = False
    finished: bool = False
    seen: int = 0
    stuck: bool = False
    joiners: list["Task"] = field(default_factory=list)


class Scheduler:
    """Hands the turn from thread to thread. The thread that creates it has the first turn.

    `now`: seconds since the start. `move_clock` gets each change of it. `random` decides whose turn it is, and
    whatever else has to be the same for the same seed.
    """

    def __init__(self, seed: int, move_clock: Callable[[float], None]) -> None:
        self.random = Random(seed)  # noqa: S311 - repeatable, not secret
        self.now = 0.0
        self.over = False
        self._move_clock = move_clock
        self._numbers = itertools.count()
        self._tasks = {get_ident(): Task(next(self._numbers))}
        self._main = self._tasks[get_ident()]
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Task, int]] = []
        self._observers: list[Task] = []
        self._happened = 0

    def current(self) -> Task | None:
        """The task of this thread; None for a thread that does not take turns."""
        return None if self.over else self._tasks.get(get_ident())

    def takes_turns(self) -> bool:
        """Whether this thread does, or did when virtual time was over."""
        return get_ident() in self._tasks

    @contextmanager
    def in_real_time(self) -> Iterator[None]:
        """Within the block this thread waits in real time, and keeps its turn."""
        task = self._tasks.pop(get_ident())
        try:
            yield
        finally:
            self._tasks[get_ident()] = task

    # Threads begin and end.

    def new_task(self) -> Task:
        task = Task(next(self._numbers))
        self._make_ready(task)
        return task

    def begin(self, task: Task) -> None:
        """Called by a new thread: wait for its first turn."""
        self._tasks[get_ident()] = task
        task.gate.acquire()

    def end(self, task: Task) -> None:
        """Called by a thread at its end: give the turn away for good."""
        task.finished = True
        while task.joiners:
            self.wake(task.joiners)
        del self._tasks[get_ident()]
        if not self.over:
            self._choose().gate.release()

    def leave(self) -> None:
        """End it: threads that wait go on waiting in real time, and no thread takes turns any more."""
        self.over = True
        for task in list(self._tasks.values()):
            if task is not self._main:
                task.gate.release()

    def let_others_end(self, seconds: float) -> list[str]:
        """Wait until all other threads have ended; the names of those that have not after this time."""
        deadline = self.now + seconds
        while len(self._tasks) > 1 and self.now < deadline:
            self.wait_for_news(deadline)
        return sorted(thread.name for thread in threading.enumerate() if thread.ident in self._tasks)[1:]

    # Threads wait.

    def block(self, waiters: list[Task], deadline: float | None) -> None:
        """Give the turn away until somebody wakes the waiters, or until the deadline."""
        task = self._tasks[get_ident()]
        waiters.append(task)
        if deadline is not None:
            heapq.heappush(self._timers, (deadline, next(self._numbers), task, task.turn))
        self._switch(task)
        if task in waiters:
            waiters.remove(task)
        if task.stuck:
            task.stuck = False
            raise StuckError("no thread can run, and no timer is set")

    def wake(self, waiters: list[Task]) -> None:
        """Let the first of them have a turn that has not got one anyway."""
        while waiters:
            task = waiters.pop(0)
            if not task.ready:
                self._make_ready(task)
                return

    def sleep(self, seconds: float) -> None:
        self.block([], self.now + max(0.0, seconds))

    def wait_for_news(self, deadline: float) -> bool:
        """Wait until something has happened and everything is at rest; False if nothing happens before the deadline."""
        task = self._tasks[get_ident()]
        task.seen = self._happened
        heapq.heappush(self._timers, (deadline, next(self._numbers), task, task.turn))
        self._observers.append(task)
        self._switch(task)
        if task in self._observers:
            self._observers.remove(task)
        stuck, task.stuck = task.stuck, False
        return not stuck

    def tell_news(self) -> None:
        """What this thread does next counts as something that has happened."""
        self._happened += 1

    # The turn.

    def _make_ready(self, task: Task) -> None:
        task.ready = True
        self._ready.append(task)

    def _switch(self, task: Task) -> None:
        chosen = self._choose()
        if chosen is not task:
            chosen.gate.release()
            task.gate.acquire()

    def _choose(self) -> Task:
        while not self._ready:
            while self._timers and self._timers[0][2].turn != self._timers[0][3]:
                heapq.heappop(self._timers)
            due = self._timers[0][0] if self._timers else None
            if due is None or due - self.now > REST_SECONDS:
                for task in self._observers:
                    if task.seen != self._happened:
                        return self._observed(task)
            if due is None:
                task = self._observers[0] if self._observers else self._main
                task.stuck = True
                return self._observed(task)
            self._advance(due)
        chosen = self._ready.pop(self.random.randrange(len(self._ready)))
        chosen.ready = False
        chosen.turn += 1
        self._happened += 1
        return chosen

    def _observed(self, task: Task) -> Task:
        if task in self._observers:
            self._observers.remove(task)
        task.turn += 1
        return task

    def _advance(self, due: float) -> None:
        if due > self.now:
            self.now = due
            self._move_clock(due)
        while self._timers and self._timers[0][0] <= self.now:
            _, _, task, turn = heapq.heappop(self._timers)
            if task.turn == turn and not task.ready:
                self._make_ready(task)
