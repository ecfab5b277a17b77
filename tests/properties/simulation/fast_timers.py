"""The timers of a simulation: deadlines are as short as configured, and waits take fractions of a second."""

import importlib
import time
import types
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import botocore.retries.standard as botocore_retries
import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retrier
import moto.stepfunctions.parser.asl.component.common.timeouts.timeout as timeouts
import moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function as waits
import pytest
import stripe

WINDOW = 4  # seconds that a session is open; enough for a busy machine to have it paid in time
WAITS = 0.1  # what remains of the pauses between retries and of the Wait states
# A pending refund is checked after a day, and operators are reminded after three: here after seconds.
TASK_TIMEOUTS = {86_400: 4.0, 259_200: 12.0}


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


SHORTENED: Mapping[str, Mapping[str, object]] = {
    "lambdas.payments_api.polling": {"PATIENCE": 4.0, "FIRST_PAUSE": 0.15, "POLL_INTERVAL": 0.2},
    "shared.services.money_events": {"PATIENCE": 1.0},
    "shared.adapters.payment_items": {"REFRESH_INTERVAL": seconds(0.3)},
    "shared.domain.session_outcomes": {"CHALLENGE_GRACE": seconds(3)},
    "shared.domain.attempts": {"OPENING_REPEATABLE": seconds(2), "SOON": seconds(0.5)},
    "shared.services.due_lists": {"EVENTS_SINCE": timedelta(minutes=10), "GRACE": seconds(0.3), "SOON": seconds(0.5)},
    "shared.services.due_payments": {"CHECK_AGAIN_AFTER": (seconds(2), seconds(4))},
    "shared.services.payment_restarts": {"GRACE": seconds(0.3)},
    "shared.services.reconciliation": {"PAYMENTS_PER_SECOND": 1000},
    "shared.services.replacements": {"PAUSES": tuple(map(seconds, (0, 0.3, 0.5, 0.7, 1, 2)))},
}
# These are part of what is deployed.
SHORTENED_BEFORE: Mapping[str, Mapping[str, object]] = {
    "shared.domain.due": {
        "GRACE": seconds(0.3),
        "SOON": seconds(0.5),
        "DAILY": seconds(1),
        "CHECK_AGAIN_AFTER": (seconds(2), seconds(4)),
    }
}


def hold_seconds(window: int) -> int:
    """The configured hold: longer than any booking's, which shortens it by an earlier time of reservation."""
    return max(600, 4 * window)


def configuration(window: int) -> dict[str, str | int]:
    """`window`: seconds that a session is open."""
    return {
        "checkoutWindowSeconds": window,
        "holdSeconds": hold_seconds(window),
        "stripeRetrySeconds": 1,
        "throttleRate": 5000,
        "throttleBurst": 5000,
    }


def shorten_waits(patch: pytest.MonkeyPatch) -> None:
    """Shorten whatever merely waits; deadlines stay as configured."""
    patch.setattr(retrier, "time", types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * WAITS)))

    def wait(_: Any, env: Any, wait_seconds: float) -> None:
        end = time.monotonic() + wait_seconds * WAITS
        while env.is_running() and (left := end - time.monotonic()) > 0:
            env.program_state_event.wait(min(left, 0.5))

    patch.setattr(waits.WaitFunction, "_wait_interval", wait)
    configured_seconds = timeouts.TimeoutSeconds._eval_seconds

    def task_timeout(self: Any, env: Any) -> float:
        seconds: int = configured_seconds(self, env)
        return TASK_TIMEOUTS.get(seconds, seconds)

    patch.setattr(timeouts.TimeoutSeconds, "_eval_seconds", task_timeout)
    backoff = botocore_retries.ExponentialBackoff
    delay = backoff.delay_amount
    patch.setattr(backoff, "delay_amount", lambda self, context: delay(self, context) * WAITS)
    patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.05)
    patch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.1)
    _replace_constants(patch, SHORTENED)


def shorten_deployed_waits(patch: pytest.MonkeyPatch) -> None:
    """The same for what is deployed, before that happens."""
    _replace_constants(patch, SHORTENED_BEFORE)


def _replace_constants(patch: pytest.MonkeyPatch, constants: Mapping[str, Mapping[str, object]]) -> None:
    for name, values in constants.items():
        module = importlib.import_module(name)
        for attribute, value in values.items():
            assert hasattr(module, attribute), f"{name}.{attribute}"
            patch.setattr(module, attribute, value)
