"""Virtual time: nothing waits, one thread runs at a time, and a seed decides whatever chance decides elsewhere.

All of the process reads one clock, which stands still while threads run. `queue`, `concurrent.futures` and `asyncio`
are built on the few functions that are replaced here: locks, sleeping and starting threads. Locks that exist before
stay as they are: whoever holds one must not wait or call anybody.
"""

import contextlib
import functools
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from moto.moto_api._internal import mock_random

from local.virtual_time.scheduler import Scheduler, Task

START = datetime(2027, 1, 11, 9, tzinfo=UTC)
"""When virtual time begins, unless somebody says otherwise."""

_new_lock, _sleep, _monotonic, _start_thread = threading.Lock, time.sleep, time.monotonic, threading.Thread.start
_shut_down = ThreadPoolExecutor.shutdown
_join_thread, _is_alive = threading.Thread.join, threading.Thread.is_alive

# How long a call to AWS or Stripe takes, in seconds: the longest usual one, and now and then a slow one.
_CALL_SECONDS, _SLOW_CALL_SECONDS, _SLOW_CALLS = 0.02, 0.5, 0.02

_scheduler: Scheduler | None = None


def scheduler() -> Scheduler | None:
    """The scheduler of this thread; None if it lives in real time."""
    return _scheduler if _scheduler is not None and _scheduler.current() is not None else None


def call_seconds() -> float:
    """How long the next call to AWS or Stripe takes; 0 in real time."""
    if (of := scheduler()) is None:
        return 0.0
    limit = _SLOW_CALL_SECONDS if of.random.random() < _SLOW_CALLS else _CALL_SECONDS
    return of.random.uniform(0.001, limit)


def take_turns() -> None:
    """Let a call take its time, in which others may run; nothing in real time."""
    if (of := scheduler()) is not None:
        of.sleep(call_seconds())


@contextlib.contextmanager
def virtual_time(seed: int, now: datetime = START) -> Iterator[Scheduler]:
    """Within the block, this thread and all that it starts take turns; what still waits then goes on in real time."""
    global _scheduler  # noqa: PLW0603 - a process has one clock
    assert _scheduler is None, "virtual time has begun already"
    with contextlib.ExitStack() as undo:
        traveller = undo.enter_context(_travel(now))
        started = _scheduler = Scheduler(seed, lambda seconds: traveller.move_to(now.timestamp() + seconds))
        for owner, name, value in _replacements(started):
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        undo.callback(random.setstate, random.getstate())
        # Each of its own, or ids that have nothing to do with each other are equal.
        random.seed(f"{seed} random")
        mock_random.seed(f"{seed} moto")
        try:
            yield started
        finally:
            started.leave()
            _scheduler = None


def _travel(to: datetime) -> Any:
    import time_machine  # it imports pytest, and real time needs neither

    return time_machine.travel(to, tick=False)


@contextlib.contextmanager
def same_every_time() -> Iterator[None]:
    """Within the block threads run as always, but it is always the same time, and AWS gives the same ids."""
    mock_random.seed(0)
    with _travel(START):
        yield


def _replacements(of: Scheduler) -> list[tuple[Any, str, Any]]:
    def now() -> float:
        # Others poll until their clock has moved on, such as the thread that manages a pool of processes.
        return of.now if of.takes_turns() else _monotonic()

    return [
        (time, "sleep", _virtual_sleep),
        (time, "monotonic", now),
        (threading, "_time", now),
        (queue, "time", now),
        (threading, "_allocate_lock", Lock),
        (threading, "Lock", Lock),
        (threading, "RLock", threading._PyRLock),  # type: ignore[attr-defined]
        (queue, "SimpleQueue", queue._PySimpleQueue),  # type: ignore[attr-defined]
        (ThreadPoolExecutor, "shutdown", _shutdown),
        (threading.Thread, "start", _start),
        (threading.Thread, "join", _join),
        (threading.Thread, "is_alive", _alive),
        (os, "urandom", of.random.randbytes),
        (random, "_urandom", of.random.randbytes),
    ]


def _virtual_sleep(seconds: float) -> None:
    if (of := scheduler()) is None:
        _sleep(seconds)
    else:
        of.sleep(seconds)


class Lock:
    """Waits in virtual time if the thread takes turns, else in real time."""

    __slots__ = ("__weakref__", "_lock", "_waiters")

    def __init__(self) -> None:
        self._lock = _new_lock()
        self._waiters: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as in threading
        if self._lock.acquire(blocking=False):
            return True
        if not blocking:
            return False
        if (of := scheduler()) is None:
            return self._lock.acquire(timeout=timeout)
        deadline = None if timeout < 0 else of.now + timeout
        while deadline is None or of.now < deadline:
            of.block(self._waiters, deadline)
            if self._lock.acquire(blocking=False):
                return True
            if of.over:
                return self._lock.acquire(timeout=-1 if deadline is None else max(0.0, deadline - of.now))
        return False

    def release(self) -> None:
        self._lock.release()
        if self._waiters and _scheduler is not None:
            _scheduler.wake(self._waiters)

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._lock = _new_lock()


def _start(thread: threading.Thread) -> None:
    of = scheduler()
    if of is None:
        _start_thread(thread)
        return
    task = of.new_task()
    run: Callable[[], None] = thread.run

    @functools.wraps(run)
    def run_in_turns() -> None:
        del thread.run  # it is this function
        of.begin(task)
        try:
            run()
        finally:
            of.end(task)

    thread._task = task  # type: ignore[attr-defined]
    thread.run = run_in_turns  # type: ignore[method-assign]
    with of.in_real_time():  # the new thread does not take turns before it says that it has started
        _start_thread(thread)


def _shutdown(pool: Any, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
    # The pool waits for its threads one after the other; in a set, their order would differ from process to process.
    pool._threads = sorted(pool._threads, key=lambda thread: str(thread.name))
    _shut_down(pool, wait, cancel_futures=cancel_futures)


def _task_of(thread: threading.Thread) -> Task | None:
    return getattr(thread, "_task", None)


def _join(thread: threading.Thread, timeout: float | None = None) -> None:
    task, of = _task_of(thread), scheduler()
    if task is not None and of is not None:
        deadline = None if timeout is None else of.now + max(0.0, timeout)
        while not task.finished:
            if deadline is not None and of.now >= deadline:
                return
            of.block(task.joiners, deadline)
        timeout = None
    _join_thread(thread, timeout)


def _alive(thread: threading.Thread) -> bool:
    task = _task_of(thread)
    return _is_alive(thread) and not (task is not None and task.finished)
