"""A bounded number of random histories; `make simulate N=2000` plays many."""

from collections.abc import Iterator

from local.aws.patches import interpreter_speed
from tests.harness.booking_driver import CHALLENGED, DECLINED, VISA
from tests.harness.leaks import WatchedStack
from tests.properties.simulation.histories import History, draw
from tests.properties.simulation.restores import draw_with_restore
from tests.properties.simulation.run import play_batch
from tests.properties.simulation.simulated_stack import SimulatedStack
from tests.properties.simulation.steps import Step

SEEDS = range(51, 91)
COVERED = {
    "reservation confirmed",
    "reservation expired",
    "reservation cancelled",
    "unapplied payment refunded",
    "a replacement execution",
    "payment execution stopped",
    "a function crashes after a call",
    "card declined",
}


def test_the_invariants_hold_after_random_histories(local: WatchedStack) -> None:
    batch = play_batch(local, [draw(seed) for seed in SEEDS])
    assert not batch.failures, "\n".join(map(str, batch.failures))
    assert COVERED - batch.coverage.keys() == set()


def test_a_seed_gives_the_same_history_whatever_was_played_before(local: WatchedStack) -> None:
    batches = [play_batch(local, [draw(seed) for seed in seeds]) for seeds in ((3, 4), (4,))]
    assert batches[0].digests[4] == batches[1].digests[4]
    assert batches[0].digests[3] != batches[0].digests[4]


def test_nothing_that_is_made_at_its_first_use_changes_a_history(local: WatchedStack) -> None:
    """Seed 76 uses a part of the parsed definition that seed 28 uses too."""
    interpreter_speed.parse.cache_clear()
    fresh, used = (play_batch(local, [draw(seed) for seed in seeds]) for seeds in ((28,), (76, 28)))
    assert fresh.digests[28] == used.digests[28]


RESTORED = range(101, 111)


def test_the_invariants_hold_after_a_restore_of_the_tables(local: WatchedStack) -> None:
    batch = play_batch(local, [draw_with_restore(seed) for seed in RESTORED])
    assert not batch.failures, "\n".join(map(str, batch.failures))
    assert batch.coverage["restored"] == len(RESTORED)
    assert batch.coverage["a booking recovered"] > 0


PAYING: tuple[tuple[Step, ...], ...] = (
    (Step("pay", (VISA,)),),
    (Step("pay", (DECLINED,)), Step("pay", (VISA,))),
    (Step("pay", (CHALLENGED, "passed")),),
    (
        Step("expire_at_stripe"),
        Step("return_from_stripe"),
        Step("wait_for_workflow"),
        Step("retry"),
        Step("pay", (VISA,)),
    ),
)
NOT_PAYING: tuple[tuple[Step, ...], ...] = (
    (),
    (Step("pay", (DECLINED,)),),
    (Step("pay", (CHALLENGED, "failed")),),
    (Step("pay", (CHALLENGED, "unresolved")),),
)


def histories_without_webhooks() -> Iterator[History]:
    never_started: tuple[tuple[Step, ...], float] = ((), 1.0)
    started = [((Step("pay_now"), *steps), 3.2) for steps in (*PAYING, *NOT_PAYING)]
    for seed, (steps, hold) in enumerate([*started, never_started]):
        yield History(seed, hold, 60, "drop", steps, answers=(), processing_succeeds=True, newest_first=False)


def test_a_booking_with_three_attempts_passes_its_whole_hold_and_is_released(local: WatchedStack) -> None:
    """A hold of 24 hours with the timers that are deployed, in a fraction of a second."""
    again = (Step("expire_at_stripe"), Step("wait_for_workflow"))
    retried = (Step("retry"), *again)
    steps = (Step("pay_now"), *again, *retried, *retried, Step("wait_for_hold_end"))
    history = History(1, 48, 240, "deliver", steps, answers=(), processing_succeeds=True, newest_first=False)
    batch = play_batch(local, [history])
    assert (batch.failures, batch.reservations) == ([], {1: "expired"})
    assert (batch.coverage["retry"], batch.coverage["hold passed"]) == (1, 1)


def list_no_events(stack: SimulatedStack) -> None:
    """Let Stripe's list of undelivered events be empty, so that the reconciler does not find them either."""
    stack.patch.setattr("shared.adapters.stripe_api.undelivered_events", lambda *_: ([], True))


def test_without_webhooks_paid_bookings_are_confirmed_and_all_other_holds_released(local: WatchedStack) -> None:
    histories = list(histories_without_webhooks())
    batch = play_batch(local, histories, list_no_events)
    assert not batch.failures, "\n".join(map(str, batch.failures))
    paid = [batch.reservations[history.seed] for history in histories if batch.paid[history.seed]]
    unpaid = [batch.reservations[history.seed] for history in histories if not batch.paid[history.seed]]
    assert paid == ["confirmed"] * len(PAYING)
    assert set(unpaid) == {"expired"}
