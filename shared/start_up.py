"""What a function does while Lambda initializes its container, at full CPU, so that the first event need not.

Adapters register what they need: a client, an open connection, a secret. Nothing of it happens on the local stack and
in tests. A step that fails is logged, and done again by the first event that needs it.
"""

import gc
import os
import time
from collections.abc import Callable

# Lambda starts an initialization anew after 10 s. No step takes longer than 8 s, so none begins later than this.
LAST_STEP_SECONDS = 1.5

_steps: list[Callable[[], object]] = []


def at_start[Step: Callable[[], object]](step: Step) -> Step:
    """Register a step; steps run in the order in which their modules are imported."""
    _steps.append(step)
    return step


def start_up(report: Callable[[str, Exception], None]) -> None:
    """Run the steps if this is Lambda; `report` is given the name of a step that failed, and why."""
    if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
        return
    began = time.monotonic()
    for step in _steps:
        name = f"{step.__module__}.{step.__name__}"
        if time.monotonic() - began > LAST_STEP_SECONDS:
            report(name, TimeoutError("left to the first event"))
            continue
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the function can serve events without
            report(name, error)
    # What lives as long as the container is never looked through again (lambdas/__init__.py).
    gc.freeze()
    gc.enable()
