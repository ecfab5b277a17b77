"""Checks a deployed stack, and what only AWS and Stripe can answer: `make smoke STACK=dev`.

It opens two bookings in the year 2099, pays neither, kills an execution and cancels both. With a live key of Stripe it
opens none: it only reads. API_URL is the address of an API on this machine; then it leaves out what needs AWS itself.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from scripts import smoke_checks, stack_outputs
from scripts.smoke_stack import CheckFailedError, SmokeStack


@dataclass(frozen=True)
class Result:
    """`outcome` is ok, FAILED or left out; `text` says what was seen, what is wrong, or why it was left out."""

    name: str
    outcome: str
    text: str


def run(outputs: Mapping[str, Any], *, local: bool = False) -> list[Result]:
    """Run every check in turn, whatever the others say. `outputs` are the stack's."""
    with ExitStack() as cleanup:
        stack = SmokeStack(outputs, cleanup)
        return [_run(name, check, stack, local=local) for name, check in smoke_checks.CHECKS.items()]


def _run(name: str, check: smoke_checks.Check, stack: SmokeStack, *, local: bool) -> Result:
    if local and check.needs_aws:
        return _print(Result(name, "left out", "it needs AWS itself"))
    if check.needs_booking and stack.live:
        return _print(Result(name, "left out", "it opens a booking, and the Stripe key is a live one"))
    try:
        return _print(Result(name, "ok", check.call(stack)))
    except CheckFailedError as error:
        return _print(Result(name, "FAILED", f"{error}\n    {check.remedy}" if check.remedy else str(error)))
    except Exception as error:  # noqa: BLE001  an answer that no check expects is a result, too
        traceback.print_exc()
        return _print(Result(name, "FAILED", f"{type(error).__name__}: {error}"))


def _print(result: Result) -> Result:
    print(f"{result.outcome:9} {result.name}: {result.text}", flush=True)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.smoke", description=__doc__)
    parser.add_argument("stack")
    outputs = stack_outputs.read(parser.parse_args(arguments).stack)
    results = run(outputs, local="API_URL" in os.environ)
    failed = [result.name for result in results if result.outcome == "FAILED"]
    done = sum(result.outcome == "ok" for result in results)
    print(f"{done} of {len(results)} checks passed" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
