"""Under quotas that are far too small, every booking comes to its right end: only later."""

from local.quotas import CONCURRENCY, STRIPE, STRIPE_ENDPOINT, TRANSITIONS, WRITES, default_quotas
from scripts.day_at_scale import play
from tests.harness.running_stack import quiet_imports

# So low that a day of ten minutes with 40 bookings exceeds each of them.
TINY: dict[str, tuple[float, float]] = {
    "StartExecution": (0.3, 2),
    "SendTaskSuccess": (0.5, 2),
    TRANSITIONS: (2, 6),
    CONCURRENCY: (4, 4),
    WRITES: (2, 4),
    "PutEvents": (0.1, 1),
    STRIPE: (0.7, 2),
    STRIPE_ENDPOINT: (0.3, 1),
}


def test_throttled_calls_are_repeated_and_no_booking_is_lost() -> None:
    with quiet_imports():
        report = play(40, TINY, seconds=400, config={"holdSeconds": 5400})
    outcome = report.outcome
    assert set(report.quotas.throttled) == set(TINY)
    assert outcome.paid > 30
    assert (outcome.lost, outcome.not_confirmed, report.quotas.not_repeated) == ([], [], {})


def test_the_default_quotas_include_all_that_the_test_lowers() -> None:
    assert TINY.keys() <= default_quotas().keys()
