"""Virtual time: everybody reads one clock, nothing waits, and a seed decides the order of threads."""

import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe
from uuid import uuid4

import pytest
from moto.moto_api._internal import mock_random

from local.virtual_time.scheduler import StuckError
from local.virtual_time.virtual_time import START, virtual_time
from tests.harness.waiting import WaitTimeoutError, wait_until

DAY = 86_400.0


def waits() -> dict[str, Callable[[], object]]:
    return {
        "sleep": lambda: time.sleep(DAY),
        "an event": lambda: threading.Event().wait(DAY),
        "a queue": lambda: pytest.raises(queue.Empty, queue.Queue[int]().get, timeout=DAY),  # noqa: RUF061
        "a future": lambda: ThreadPoolExecutor(1).submit(time.sleep, DAY).result(),
        "a timer": lambda: start_and_join(threading.Timer(DAY, lambda: None)),
    }


def start_and_join(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


@pytest.mark.parametrize("what", waits())
def test_a_wait_of_a_day_takes_no_time_and_moves_every_clock(what: str) -> None:
    began = time.perf_counter()
    with virtual_time(seed=1):
        before = time.monotonic()
        waits()[what]()
        assert datetime.now(UTC) == START + timedelta(days=1)
        assert time.time() == START.timestamp() + DAY
        assert time.monotonic() - before == DAY
    assert time.perf_counter() - began < 5
    assert datetime.now(UTC) != START + timedelta(days=1)


def order_of_threads(seed: int) -> list[object]:
    """What five threads do that contend for a lock, and the ids that they draw."""
    done: list[object] = []
    with virtual_time(seed), ThreadPoolExecutor(5) as pool:
        lock = threading.Lock()

        def work(number: int) -> None:
            for _ in range(3):
                with lock:
                    time.sleep(0.01)
                    done.append((number, time.monotonic(), uuid4().hex))

        list(pool.map(work, range(5)))
    return done


def test_one_seed_gives_one_order_and_the_same_ids() -> None:
    assert order_of_threads(7) == order_of_threads(7)
    assert order_of_threads(7) != order_of_threads(8)


def test_a_wait_that_cannot_end_fails_at_once() -> None:
    with virtual_time(seed=1):
        with pytest.raises(StuckError):
            threading.Event().wait()
        with pytest.raises(WaitTimeoutError):
            wait_until(lambda: False, "what never comes")


def test_a_condition_is_checked_whenever_something_has_happened_and_everything_is_at_rest() -> None:
    steps: list[str] = []
    with virtual_time(seed=1):

        def work() -> None:
            for step in ("first", "second"):
                time.sleep(DAY)
                steps.append(step)
                time.sleep(0.001)  # still at it: nobody checks before it is done
                steps.append(f"{step} done")

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: "first" in steps, "the first step")
        assert steps == ["first", "first done"]
        thread.join()


def test_a_thread_that_still_waits_goes_on_in_real_time() -> None:
    released = []
    with virtual_time(seed=1):
        event = threading.Event()
        thread = threading.Thread(target=lambda: released.append(event.wait(DAY)))
        thread.start()
        time.sleep(1)
    event.set()
    thread.join(5)
    assert released == [True]


def test_a_thread_from_before_keeps_the_real_clock() -> None:
    """A pipe is polled until the clock has moved on, by the thread that manages a pool of processes for example."""
    begin, polled = threading.Event(), threading.Event()

    def poll() -> None:
        begin.wait()
        ours, _theirs = Pipe()
        ours.poll()
        polled.set()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    with virtual_time(seed=1) as scheduler:
        begin.set()
        with scheduler.in_real_time():
            assert polled.wait(10)


def test_generators_of_one_seed_draw_ids_of_their_own() -> None:
    with virtual_time(seed=1) as scheduler:
        assert len({random.getrandbits(128), mock_random.getrandbits(128), scheduler.random.getrandbits(128)}) == 3
