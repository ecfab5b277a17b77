"""The demo: every scenario in turn, over HTTP, each checked against where states, money and dates must end."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import requests

from local.demo import checkout_demo, refund_demo
from local.demo.demo_booking import DemoBooking, Json, ScenarioFailedError, say
from local.stack import LocalStack

# These timers are half an hour, a day and half a minute in production.
CONFIG: Mapping[str, str | int] = {"checkoutWindowSeconds": 5, "holdSeconds": 22, "stripeRetrySeconds": 1}
PROPERTY_TIME_ZONE = "Europe/Madrid"

type Scenario = Callable[[DemoBooking], None]

SCENARIOS: dict[str, Scenario] = {
    "paid at once": checkout_demo.paid_at_once,
    "declined, the session expires, retried, paid": checkout_demo.declined_expired_retried_paid,
    "paid in the last second, while the workflow expires the session": checkout_demo.paid_in_the_last_second,
    "three attempts, the hold is released, the dates are free again": checkout_demo.three_attempts_then_released,
    "Stripe is down at Pay now, recovers, paid": checkout_demo.stripe_down_then_paid,
    "cancelled before paying, the dates are free again": checkout_demo.cancelled_before_paying,
    "paid, cancelled 20 days ahead: refunded in full": refund_demo.cancelled_20_days_ahead,
    "paid, cancelled 10 days ahead: half is refunded, rounded down": refund_demo.cancelled_10_days_ahead,
    "paid, cancelled 3 days ahead: no refund, the booking stands": refund_demo.cancelled_3_days_ahead,
    "paid after the release: refunded in full, automatically": refund_demo.paid_after_the_release,
    "a refund is pending, then completes": refund_demo.refund_pending_then_completed,
    "a refund fails, an operator has it retried": refund_demo.refund_fails_and_is_retried,
    "a refund is returned, an operator settles it elsewhere": refund_demo.refund_returned_and_settled_elsewhere,
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
    failed = 0
    say(f"the system runs at {stack.url}, its functions log to {stack.log}", indent=0)
    for number, (title, play) in enumerate(SCENARIOS.items(), 1):
        print()
        say(f"{number}. {title}", indent=0)
        try:
            with DemoBooking(stack.url, _reservation(play)) as booking:
                play(booking)
        except (ScenarioFailedError, requests.RequestException) as error:
            failed += 1
            say(f"FAILED: {error}")
    print()
    say(f"{len(SCENARIOS) - failed} of {len(SCENARIOS)} scenarios ended as expected", indent=0)
    return 1 if failed else 0


def _reservation(scenario: Scenario) -> Json:
    """The body of the request that holds the scenario's dates."""
    if scenario not in DAYS_AHEAD:
        return {"total_amount": refund_demo.PRICE}
    check_in = datetime.now(ZoneInfo(PROPERTY_TIME_ZONE)).date() + timedelta(days=DAYS_AHEAD[scenario])
    return {"total_amount": refund_demo.PRICE, "check_in": check_in.isoformat()}
