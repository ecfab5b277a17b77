"""The demo plays every scenario over HTTP, and checks where its states, money and dates end."""

import threading
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
CONFIG: Mapping[str, str | int] = {"checkoutWindowSeconds": 3, "holdSeconds": 14, "stripeRetrySeconds": 1}
PROPERTY_TIME_ZONE = "Europe/Madrid"

type Scenario = Callable[[DemoBooking], None]

SCENARIOS: dict[str, Scenario] = {
    "paid at once": checkout_demo.paid_at_once,
    "declined, the session expires, retried, paid": checkout_demo.declined_expired_retried_paid,
    "three attempts, the hold is released, the dates are free again": checkout_demo.three_attempts_then_released,
    "cancelled before paying, the dates are free again": checkout_demo.cancelled_before_paying,
    "paid, cancelled 20 days ahead: refunded in full": refund_demo.cancelled_20_days_ahead,
    "paid, cancelled 10 days ahead: half is refunded, rounded down": refund_demo.cancelled_10_days_ahead,
    "paid, cancelled 3 days ahead: no refund, the booking stands": refund_demo.cancelled_3_days_ahead,
    "paid after the release: refunded in full, automatically": refund_demo.paid_after_the_release,
    "a refund is pending, then completes": refund_demo.refund_pending_then_completed,
    "a refund is returned, an operator settles it elsewhere": refund_demo.refund_returned_and_settled_elsewhere,
}

# These change how the fake Stripe treats every booking, so that each is played alone.
SCENARIOS_PLAYED_ALONE: dict[str, Scenario] = {
    "paid in the last second, while the workflow expires the session": checkout_demo.paid_in_the_last_second,
    "Stripe is down at Pay now, recovers, paid": checkout_demo.stripe_down_then_paid,
    "a refund fails, an operator has it retried": refund_demo.refund_fails_and_is_retried,
}

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
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        playing = [pool.submit(_play, stack.url, scenario, stopping) for scenario in SCENARIOS.values()]
        try:
            passed = [
                _print(number, title, future.result())
                for number, (title, future) in enumerate(zip(SCENARIOS, playing, strict=True), 1)
            ]
        finally:
            stopping.set()  # after Ctrl-C the others end, too, before the stack does
    passed += [
        _print(number, title, _play(stack.url, scenario, threading.Event()))
        for number, (title, scenario) in enumerate(SCENARIOS_PLAYED_ALONE.items(), len(SCENARIOS) + 1)
    ]
    print(f"\n{sum(passed)} of {len(passed)} scenarios ended as expected")
    return 0 if all(passed) else 1


class _Played(NamedTuple):
    lines: list[str]
    passed: bool


def _play(url: str, scenario: Scenario, stopping: threading.Event) -> _Played:
    lines: list[str] = []
    try:
        with DemoBooking(url, _reservation(scenario), stopping) as booking:
            lines = booking.lines
            scenario(booking)
    except (ScenarioFailedError, requests.RequestException) as error:
        return _Played([*lines, wrapped(f"FAILED: {error}", indent=4)], passed=False)
    return _Played(lines, passed=True)


def _print(number: int, title: str, played: _Played) -> bool:
    print("\n".join(["", wrapped(f"{number}. {title}"), *played.lines]), flush=True)
    return played.passed


def _reservation(scenario: Scenario) -> Json:
    """The body of the request that holds the scenario's dates."""
    if scenario not in DAYS_AHEAD:
        return {"total_amount": refund_demo.PRICE}
    check_in = datetime.now(ZoneInfo(PROPERTY_TIME_ZONE)).date() + timedelta(days=DAYS_AHEAD[scenario])
    return {"total_amount": refund_demo.PRICE, "check_in": check_in.isoformat()}
