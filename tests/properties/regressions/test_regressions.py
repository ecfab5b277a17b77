"""Histories that failed once, each in a file of its own. One that is named after a planted bug still finds it."""

from pathlib import Path

import pytest

from tests.harness.leaks import WatchedStack
from tests.properties.simulation.histories import History
from tests.properties.simulation.mutations import MUTATIONS
from tests.properties.simulation.run import REGRESSIONS, play_batch

FILES = sorted(REGRESSIONS.glob("*.json"))
BUGS = {mutation.__name__: mutation for mutation in MUTATIONS}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_history_that_failed_once_breaks_no_invariant(local: WatchedStack, file: Path) -> None:
    history = History.from_json(file.read_text())
    assert [str(failure) for failure in play_batch(local, [history]).failures] == []


@pytest.mark.parametrize("file", [file for file in FILES if file.stem in BUGS], ids=lambda file: file.stem)
def test_a_planted_bug_is_found_again(local: WatchedStack, file: Path) -> None:
    history, plant = History.from_json(file.read_text()), BUGS[file.stem]
    assert play_batch(local, [history], lambda stack: plant(stack, stack.patch)).failures != []
