"""One local stack on virtual time for all of this folder."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.running_stack import RunningStack, run_stack

TOTAL = 45_001  # cents; odd, so that half of it is not a whole number
# Days before check-in at which the policy refunds half and nothing; anything later refunds all.
HALF, NOTHING = range(8, 13), range(2, 6)

COMPLETED = [
    "AlreadyFailed?",
    "ReserveRefund",
    "CreateRefund",
    "RefundStatus?",
    "RecordRefund",
    "AnnounceRefund",
    "RefundCompleted",
]

_end = ExitStack()  # of the stack, while it runs
_running: list[RunningStack] = []


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the stack with this folder: no scope of a fixture is a folder's, and each process has one AWS only."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _end.close()
        _running.clear()


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    """The stack; whatever a test has set for all refunds ends with it."""
    if not _running:
        _running.append(_end.enter_context(run_stack(nights=1, total_amount=TOTAL, seed=1, take_short_cut=True)))
    (running,) = _running
    yield running
    running.stripe.refund_status = None
    running.stripe.webhooks.wait_until_idle()
