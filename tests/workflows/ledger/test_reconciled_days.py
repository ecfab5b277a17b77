"""A day on the local stack is reconciled with the fake Stripe's balance, to the cent."""

import time
from collections.abc import Iterator

import pytest

from tests.harness.reconciled_days import reconcile, rows_of, summary_of, today
from tests.harness.running_stack import RunningStack, run_stack
from tests.workflows.ledger.busy_day import DAY, KINDS, play


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    with run_stack(seed=18, nights=1, take_short_cut=True) as running:
        yield running


def test_a_day_with_every_fault_refund_and_dispute_agrees_with_stripes_balance(stack: RunningStack) -> None:
    play(stack, len(KINDS))
    day = today()
    time.sleep(DAY)
    assert reconcile(stack, day) == {"differences": {day.isoformat(): 0}}
    summary = summary_of(stack, day)
    assert summary["net"] == {"EUR": stack.stripe.balance()["eur"]}
    assert summary["ours"]["EUR"].keys() == {"charge", "refund", "refund_failure", "dispute", "dispute_reversal"}
    assert summary["not_ours"]["EUR"].keys() == {"charge", "refund"}
    rows = rows_of(stack, day)
    assert sum(int(row["net"]) for row in rows) == sum(one["net"] for one in summary["ours"]["EUR"].values())
    assert {row["payment_id"] for row in rows} == {f"PAY-{row['reservation_id']}" for row in rows}
