"""A bounded number of random histories; `make simulate N=2000` for many. What each step does: histories.py.

How fast the machine is must decide nothing: what a batch did not come across, since a session's window was over before
it got there, is sought in the next with longer windows.
"""

from collections import Counter
from collections.abc import Iterator

from tests.properties.simulation.histories import CHALLENGED, DECLINED, VISA, History, Step, draw
from tests.properties.simulation.run import Batch, batch
from tests.properties.simulation.world import WINDOW, World

WINDOWS = (WINDOW, 3 * WINDOW, 10 * WINDOW)
SEEDS = 40
MET = {
    "reservation confirmed",
    "reservation expired",
    "reservation cancelled",
    "unapplied money refunded",
    "a replacement",
    "payment execution stopped",
    "a function dies after a call",
    "card declined",
}


def test_the_invariants_hold_after_random_histories() -> None:
    met: Counter[str] = Counter()
    for number, window in enumerate(WINDOWS):
        played = batch([draw(number * SEEDS + seed) for seed in range(1, SEEDS + 1)], window=window)
        assert not played.failures, "\n".join(map(str, played.failures))
        met += played.met
        if met.keys() >= MET:
            break
    assert MET - met.keys() == set()


PAYING: tuple[tuple[Step, ...], ...] = (
    (Step("pay", (VISA,)),),
    (Step("pay", (DECLINED,)), Step("pay", (VISA,))),
    (Step("pay", (CHALLENGED, "passed")),),
    (Step("expire_at_stripe"), Step("come_back"), Step("rest"), Step("retry"), Step("pay", (VISA,))),
)
UNPAID: tuple[tuple[Step, ...], ...] = (
    (),
    (Step("pay", (DECLINED,)),),
    (Step("pay", (CHALLENGED, "failed")),),
    (Step("pay", (CHALLENGED, "unresolved")),),
)


def without_webhooks() -> Iterator[History]:
    stories = [((Step("pay_now"), *steps), 3.2) for steps in (*PAYING, *UNPAID)]
    # And one who never presses "Pay now".
    for seed, (steps, hold) in enumerate([*stories, ((), 1.0)]):
        yield History(seed, hold, "never", steps, (), settles=True, backwards=False)


def never_listed(stage: World) -> None:
    """Nor are they found by asking Stripe which events it could not deliver."""
    stage.patch.setattr("shared.adapters.stripe_api.undelivered_events", lambda *_: [])


def test_without_webhooks_what_is_paid_is_confirmed_and_every_other_hold_released() -> None:
    histories = list(without_webhooks())
    for window in WINDOWS:
        played: Batch = batch(histories, never_listed, window=window)
        assert not played.failures, "\n".join(map(str, played.failures))
        paid = [played.ends[history.seed] for history in histories if played.paid[history.seed]]
        unpaid = [played.ends[history.seed] for history in histories if not played.paid[history.seed]]
        assert set(paid) <= {"confirmed"}
        assert set(unpaid) == {"expired"}
        if len(paid) == len(PAYING):
            break
    assert len(paid) == len(PAYING)
