import pytest

from lambdas.payments_api import polling
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.payments_api_calls import SleepingTime
from tests.harness.stored_tables import Stored


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Calls wait for 0.1 s, during which the clock of the functions stands still."""
    monkeypatch.setattr(polling, "PATIENCE", 0.1)
    monkeypatch.setattr(polling, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(polling, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(polling, "POLL_INTERVAL", 0.005)
    monkeypatch.setattr(polling, "time", SleepingTime())


@pytest.fixture
def workflow(stored: Stored, fake_aws: FakeAws) -> FakeAws:
    """The workflow of a reservation made two hours ago; a test says what follows a start or a signal."""
    fake_aws.waiting = {"token-1", "token-2", "token-3"}
    stored.reservation()
    return fake_aws
