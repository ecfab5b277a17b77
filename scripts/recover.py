"""Recovers a stack after its tables were restored: `make recover STACK=prod SINCE=2026-11-28T09:30:00Z`.

`SINCE` is the moment that the tables were restored to. First it reads what Stripe and Step Functions know of the stack
since then. Then it compares each booking and rebuilds what its items lack, processes every event of Stripe again, and
resumes what waits. `--plan` (make: PLAN=1) says what it would do to which booking, and changes nothing.

Safe to run again: one that was stopped goes on where it was. Needs an administrator's credentials. STRIPE_PER_SECOND
changes how many calls to Stripe begin in a second (20; Stripe allows 100, in a sandbox 25), which guests share.
"""

import argparse
import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import boto3

from scripts.recovery.checkpoint import Checkpoint
from scripts.recovery.execution_runs import Executions
from scripts.recovery.recovery import Recovery, Result
from scripts.recovery.stripe_side import Pace, StripeSide
from shared.adapters.secrets import secret
from shared.observability import logger
from shared.settings import settings

if TYPE_CHECKING:
    from logging import StreamHandler

BUILD = Path(__file__).parents[1] / "build"
STEP_FUNCTIONS_PER_SECOND = 10  # of DescribeExecution, 15 are allowed


def use_settings_of(stack: str) -> None:
    """Take the environment of the stack's functions: the names of its tables and secrets, and its configuration."""
    if region := os.environ.get("AWS_REGION"):  # which the SDK does not read
        os.environ["AWS_DEFAULT_REGION"] = region
    name = f"booking-{stack}-reconcile-payments"
    functions = boto3.client("lambda")
    os.environ |= functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]


def recovery(since: datetime, *, plan: bool = False, workers: int = 8, checkpoint: Path | None = None) -> Recovery:
    """A recovery of the stack whose settings are in the environment."""
    of = settings()
    stripe_pace = Pace(float(os.environ.get("STRIPE_PER_SECOND", "20")))
    key = secret(of.stripe_secret_key_parameter)
    return Recovery(
        StripeSide(key, of.stripe_api_base, of.stack, stripe_pace),
        Executions(STEP_FUNCTIONS_PER_SECOND),
        since=since,
        plan=plan,
        workers=workers,
        checkpoint=Checkpoint(None if plan else checkpoint),
        say=lambda text: print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr),
    )


def show(result: Result, *, plan: bool) -> None:
    for reservation_id, changes in sorted(result.changes.items()):
        print(f"{reservation_id}: {'; '.join(changes)}", file=sys.stderr)
    for name, reason in sorted(result.left.items()):
        print(f"LEFT {name}: {reason}", file=sys.stderr)
    done = "would be" if plan else "were"
    print(
        f"{result.bookings} bookings compared, {len(result.changes)} {done} changed, {len(result.left)} left; "
        f"{result.events} events {done} processed again",
        file=sys.stderr,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.recover", description=__doc__)
    parser.add_argument("stack", help="the name of the stack, such as prod")
    parser.add_argument("since", help="the moment that the tables were restored to, such as 2026-11-28T09:30:00Z")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and change nothing")
    given = parser.parse_args()
    since = datetime.fromisoformat(given.since)
    if since.tzinfo is None:
        parser.error("give the time zone too, such as 2026-11-28T09:30:00Z")
    use_settings_of(given.stack)
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"recover-{given.stack}.log").open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        cast("StreamHandler[TextIO]", logger.registered_handler).setStream(log)
        progress = BUILD / f"recover-{given.stack}-{since:%Y%m%dT%H%M%S}.progress"
        result = recovery(since, plan=given.plan, checkpoint=progress).run()
    show(result, plan=given.plan)
    return 1 if result.left else 0


if __name__ == "__main__":
    sys.exit(main())
