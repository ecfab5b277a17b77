"""A bounded number of random histories; `make simulate N=2000` plays many.

A slow machine must not decide the result: what a batch does not cover because its sessions expired too soon is tried
again with longer windows.
"""

from collections import Counter
from collections.abc import Iterator

from tests.harness.booking_driver import CHALLENGED, DECLINED, VISA
from tests.properties.simulation.fast_timers import WINDOW
from tests.properties.simulation.histories import History, Step, draw
from tests.properties.simulation.run import play_batch
from tests.properties.simulation.simulated_stack import SimulatedStack

WINDOWS = (WINDOW, 3 * WINDOW, 10 * WINDOW)
SEEDS = 40
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


def test_the_invariants_hold_after_random_histories() -> None:
    covered: Counter[str] = Counter()
    for number, window in enumerate(WINDOWS):
        batch = play_batch([draw(number * SEEDS + seed) for seed in range(1, SEEDS + 1)], window=window)
        assert not batch.failures, "\n".join(map(str, batch.failures))
        covered += batch.coverage
        if covered.keys() >= COVERED:
            break
    assert COVERED - covered.keys() == set()


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
        yield History(seed, hold, "drop", steps, answers=(), processing_succeeds=True, newest_first=False)


def list_no_events(stack: SimulatedStack) -> None:
    """Let Stripe's list of undelivered events be empty, so that the reconciler does not find them either."""
    stack.patch.setattr("shared.adapters.stripe_api.undelivered_events", lambda *_: ([], True))


def test_without_webhooks_paid_bookings_are_confirmed_and_all_other_holds_released() -> None:
    histories = list(histories_without_webhooks())
    for window in WINDOWS:
        batch = play_batch(histories, list_no_events, window=window)
        assert not batch.failures, "\n".join(map(str, batch.failures))
        paid = [batch.reservations[history.seed] for history in histories if batch.paid[history.seed]]
        unpaid = [batch.reservations[history.seed] for history in histories if not batch.paid[history.seed]]
        assert set(paid) <= {"confirmed"}
        assert set(unpaid) == {"expired"}
        if len(paid) == len(PAYING):
            break
    assert len(paid) == len(PAYING)
