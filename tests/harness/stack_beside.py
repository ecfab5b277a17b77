"""A second deployment in its own process, on the fake Stripe account of another stack.

`python -m tests.harness.stack_beside URL CONFIG`, with that stack's URL, a JSON object of configuration keys, and in
the environment STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET. It prints its own URL, and ends with its standard input.
"""

import json
import os
import sys

from local.stack import LocalStack
from tests.harness.running_stack import quiet_imports


class StackBeside(LocalStack):
    stack_name = "dev"


def main(stripe_of: str, config: str) -> None:
    own = {"stripeApiBase": f"{stripe_of}/stripe", "frontendUrl": "http://localhost:8400", "package": "false"}
    keys = {
        "secret_key": os.environ["STRIPE_SECRET_KEY"],
        "publishable_key": "pk_test_beside",
        "webhook_secret": os.environ["STRIPE_WEBHOOK_SECRET"],
    }
    with quiet_imports():
        config_beside = {"reconcileMinutes": 60, **own, **json.loads(config)}
        stack = StackBeside(config=config_beside, sandbox=keys, take_short_cut=True)
    with stack:
        sys.stdout.write(f"{stack.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
