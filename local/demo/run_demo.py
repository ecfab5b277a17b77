"""The demo plays every scenario over HTTP, and checks where its states, money and dates end."""

import functools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import requests

from local.demo import checkout_demo, refund_demo
from local.demo.demo_booking import DemoBooking, Json, ScenarioFailedError, wrapped
from local.stack import LocalStack

# These timers are half an hour, a day and half a minute in production.
CONFIG: Mapping[str, str | int] = {"checkoutWindowSeconds": 5, "holdSeconds": 21, "stripeRetrySeconds": 1}
PROPERTY_TIME_ZONE = "Europe/Madrid"

type Scenario = Callable[[DemoBooking], None]

# These are played at the same time.
SCENARIOS: dict[str, Scenario] = {
    "paid at once": checkout_demo.paid_at_once,
    "declined, the session expires, retried, paid": checkout_demo.declined_expired_retried_paid,
    "cancelled before paying, the dates are free again": checkout_demo.cancelled_before_paying,
    "paid, cancelled 20 days ahead: refunded in full": refund_demo.cancelled_20_days_ahead,
    "paid, cancelled 10 days ahead: half is refunded, rounded down": refund_demo.cancelled_10_days_ahead,
    "paid, cancelled 3 days ahead: no refund, the booking stands": refund_demo.cancelled_3_days_ahead,
    "paid after the release: refunded in full, automatically": refund_demo.paid_after_the_release,
    "a refund is pending, then completes": refund_demo.refund_pending_then_completed,
    "a refund is returned, an operator settles it elsewhere": refund_demo.refund_returned_and_settled_elsewhere,
}

# These change how the fake Stripe treats every booking, so that they are played one after another.
SCENARIOS_ON_THEIR_OWN: dict[str, Scenario] = {
    "paid in the last second, while the workflow expires the session": checkout_demo.paid_in_the_last_second,
    "a refund fails, an operator has it retried": refund_demo.refund_fails_and_is_retried,
    "Stripe is down at Pay now, recovers, paid": checkout_demo.stripe_down_then_paid,
}

# This one ends with its hold, so that it is played beside all others.
LONGEST = "three attempts, the hold is released, the dates are free again"

# The number of days from the cancellation to check-in, for the scenarios where it matters.
DAYS_AHEAD: Mapping[Scenario, int] = {
    refund_demo.cancelled_20_days_ahead: 20,
    refund_demo.cancelled_10_days_ahead: 10,
    refund_demo.cancelled_3_days_ahead: 3,
}


def run(config: Mapping[str, str | int] | None = None, **options: Any) -> int:
    """Starts a stack with short timers, and plays the scenarios on it; `options` are LocalStack's."""
    with LocalStack(config={**CONFIG, **(config or {})}, **options) as stack:
        return play_all(stack)


def play_all(stack: LocalStack) -> int:
    """The exit code: 0 if every scenario ended as expected."""
    print(wrapped(f"the system runs at {stack.url}, its functions log to {stack.log}"), flush=True)
    stopping = threading.Event()
    play = functools.partial(_play, stack.url, stopping)
    with ThreadPoolExecutor(len(SCENARIOS) + 1) as pool:
        longest = pool.submit(play, checkout_demo.three_attempts_then_released)
        together = {title: pool.submit(play, scenario) for title, scenario in SCENARIOS.items()}
        try:
            passed = [
                _print(title, number, future.result()) for number, (title, future) in enumerate(together.items(), 1)
            ]
            for title, scenario in SCENARIOS_ON_THEIR_OWN.items():
                if scenario is checkout_demo.stripe_down_then_paid:
                    while not (longest.done() or _third_attempt_failed(stack)):  # its sessions need Stripe
                        time.sleep(0.1)
                passed.append(_print(title, len(passed) + 1, play(scenario)))
            passed.append(_print(LONGEST, len(passed) + 1, longest.result()))
        finally:
            stopping.set()  # after Ctrl-C, scenarios end before the stack does
    print(f"\n{sum(passed)} of {len(passed)} scenarios ended as expected")
    return 0 if all(passed) else 1


def _third_attempt_failed(stack: LocalStack) -> bool:
    executions = [stack.admin.execution(listed["name"]) for listed in stack.admin.executions("payment")]
    return any(execution.visited.count("AwaitRetry") == 3 for execution in executions)  # noqa: PLR2004


class _Played(NamedTuple):
    lines: list[str]
    passed: bool


def _play(url: str, stopping: threading.Event, scenario: Scenario) -> _Played:
    lines: list[str] = []
    try:
        with DemoBooking(url, _reservation(scenario), stopping) as booking:
            lines = booking.lines
            scenario(booking)
    except (ScenarioFailedError, requests.RequestException) as error:
        return _Played([*lines, wrapped(f"FAILED: {error}", indent=4)], passed=False)
    return _Played(lines, passed=True)


def _print(title: str, number: int, played: _Played) -> bool:
    print("\n".join(["", wrapped(f"{number}. {title}"), *played.lines]), flush=True)
    return played.passed


def _reservation(scenario: Scenario) -> Json:
    """The body of the request that holds the scenario's dates."""
    if scenario not in DAYS_AHEAD:
        return {"total_amount": refund_demo.PRICE}
    check_in = datetime.now(ZoneInfo(PROPERTY_TIME_ZONE)).date() + timedelta(days=DAYS_AHEAD[scenario])
    return {"total_amount": refund_demo.PRICE, "check_in": check_in.isoformat()}
