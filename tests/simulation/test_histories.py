"""A bounded number of random histories; `make simulate N=2000` for many. What each step does: histories.py."""

from tests.simulation.histories import draw
from tests.simulation.run import batch

SEEDS = range(1, 41)


def test_the_invariants_hold_after_random_histories() -> None:
    played = batch([draw(seed) for seed in SEEDS])
    assert not played.failures, "\n".join(map(str, played.failures))
    # They did come across what matters.
    for what in ("reservation confirmed", "reservation expired", "unusable money refunded", "a successor", "disturbed"):
        assert played.met[what], f"never met: {what}"
