"""`make stop-executions` before a stack is destroyed."""

from collections.abc import Callable, Iterator
from functools import partial

import boto3
import pytest

from scripts import stack_outputs, stop_executions
from tests.e2e.conftest import StackOverHttp
from tests.harness.booking_driver import BookingDriver
from tests.harness.waiting import wait_until

type Stop = Callable[..., None]

pytestmark = pytest.mark.defect("A-07")


@pytest.fixture
def stop(stack: StackOverHttp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stop]:
    """Run the command, on a stack that is or is not one of production, with this answer to its question."""

    def run(*options: str, answer: str = "", production: bool = False) -> None:
        monkeypatch.setattr(stack_outputs, "read", lambda _: stack.outputs | {"production": production})
        monkeypatch.setattr("builtins.input", lambda _: answer)
        stop_executions.main("dev", *options)

    yield run
    boto3.client("lambda").delete_function_concurrency(FunctionName=stack.outputs["reconcilerFunction"])


@pytest.fixture
def waiting(stack: StackOverHttp) -> list[BookingDriver]:
    bookings = [stack.reserve(), stack.reserve()]
    for booking in bookings:
        booking.pay_now()
    return bookings


@pytest.mark.parametrize("answer", ["", "n", "no"])
def test_nothing_is_stopped_without_a_yes(
    stack: StackOverHttp, waiting: list[BookingDriver], stop: Stop, answer: str
) -> None:
    with pytest.raises(SystemExit, match="nothing was stopped"):
        stop(answer=answer)
    assert {booking.id for booking in waiting} <= stack.running().keys()


def test_a_production_stack_is_refused_with_the_number_of_executions(
    stack: StackOverHttp, waiting: list[BookingDriver], stop: Stop
) -> None:
    number = len(stack.running())
    with pytest.raises(SystemExit, match=f"^{number} payments and 0 refunds of dev are under way. It is a production"):
        stop(answer="y", production=True)
    assert {booking.id for booking in waiting} <= stack.running().keys()


@pytest.mark.parametrize("production", [True, False])
def test_every_execution_is_stopped_and_none_replaced(
    stack: StackOverHttp,
    waiting: list[BookingDriver],
    stop: Stop,
    capsys: pytest.CaptureFixture[str],
    *,
    production: bool,
) -> None:
    number = len(stack.running())
    assert number >= len(waiting)
    stop(*(["--yes"] if production else []), answer="y", production=production)
    assert f"{number} executions stopped. Now run: pulumi destroy --stack dev" in capsys.readouterr().out
    for booking in waiting:
        wait_until(partial(stack.notifications, booking.id), "the notification of the stop")
        assert stack.admin.call("GET", f"executions/{booking.id}")["status"] == "ABORTED"
    assert stack.running() == {}
