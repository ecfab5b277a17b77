"""After random histories, with or without a restore of the tables, the ledger agrees with Stripe's balance."""

import pytest

from tests.harness.leaks import WatchedStack
from tests.properties.simulation.histories import History, draw
from tests.properties.simulation.ledger_check import ledger_violations
from tests.properties.simulation.restores import draw_with_restore
from tests.properties.simulation.run import _play
from tests.properties.simulation.simulated_stack import simulated_stack

HISTORIES = [*map(draw, range(2001, 2006)), *map(draw_with_restore, range(2006, 2009))]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: f"seed {history.seed}")
def test_every_day_of_a_history_agrees_with_stripes_balance(local: WatchedStack, history: History) -> None:
    with simulated_stack(local, history.seed, history.reconcile_minutes) as stack:
        _play(stack, history)
        assert list(ledger_violations(stack)) == [], str(history)
