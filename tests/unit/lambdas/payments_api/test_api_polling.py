"""lambdas.payments_api.polling: how long a call waits, and how often it reads."""

from itertools import islice

import pytest

from lambdas.payments_api import polling
from tests.harness.payments_api_calls import SleepingTime

SECONDS = {"PATIENCE": 8.0, "FIRST_PAUSE": 0.4, "NEXT_PAUSE": 0.15, "POLL_INTERVAL": 0.25}
AS_IMPORTED = {name: getattr(polling, name) for name in SECONDS}  # before fixtures shorten them


@pytest.fixture
def time(quick: None, monkeypatch: pytest.MonkeyPatch) -> SleepingTime:
    """The real pauses, in a time that passes only while the call sleeps."""
    for name, seconds in SECONDS.items():
        monkeypatch.setattr(polling, name, seconds)
    time = SleepingTime()
    monkeypatch.setattr(polling, "time", time)
    return time


def test_a_call_waits_for_8_seconds_in_all() -> None:
    assert AS_IMPORTED == SECONDS


def test_polling_reads_at_once_and_stops_at_the_first_state_that_is_awaited(time: SleepingTime) -> None:
    assert polling.poll(iter("abc").__next__, until="a".__eq__) == "a"
    assert time.now == 0
    assert polling.poll(iter("abc").__next__, until="c".__eq__) == "c"
    assert time.now == 0.5


def test_polling_gives_up_after_8_seconds_and_returns_the_last_state(time: SleepingTime) -> None:
    assert polling.poll(lambda: time.now, until=lambda _: False) == 8.25


def test_a_later_poll_may_share_the_deadline(time: SleepingTime) -> None:
    deadline = polling.deadline()
    time.sleep(7.9)
    polling.poll(lambda: None, until=lambda _: False, deadline=deadline)
    assert time.now == pytest.approx(8.15)


def test_a_session_is_read_first_when_it_can_be_open_and_then_often(time: SleepingTime) -> None:
    assert list(islice(polling.session_pauses(), 4)) == [0.4, 0.15, 0.15, 0.15]
