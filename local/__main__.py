"""`python -m local` serves the whole system on this machine; `python -m local demo` plays scenarios and prints them."""

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from local.garbage import collect_the_rest, none_collected
from local.stop_signals import INTERRUPTED, StopSignals

if TYPE_CHECKING:
    from local.command_line import Arguments
    from local.stack import LocalStack


def main(arguments: Sequence[str] | None = None) -> int:
    with none_collected(), StopSignals() as signals:
        from local import command_line

        parsed = command_line.parse(sys.argv[1:] if arguments is None else arguments)
        try:
            return _run(parsed, signals)
        except KeyboardInterrupt:
            return INTERRUPTED


def _run(arguments: "Arguments", signals: StopSignals) -> int:
    sandbox: dict[str, str] | None = None
    if arguments.command == "serve":
        try:
            sandbox = _sandbox_keys()
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    # These take seconds to import, and a wrong argument is reported without them.
    from pulumi import RunError

    from local.aws.dynamodb_local import dynamodb_local
    from local.demo import run_demo
    from local.external_tools import ToolUnavailableError
    from local.pulumi.resources.resource_type import DeployError
    from local.stack import LocalStack, PortUnavailableError

    if signals.requested:
        return INTERRUPTED
    config: dict[str, str | int] = {**(run_demo.CONFIG if arguments.command == "demo" else {}), **arguments.config}
    try:
        with (
            dynamodb_local() if arguments.dynamodb == "local" else nullcontext(arguments.dynamodb) as dynamodb,
            LocalStack(
                port=arguments.port, config=config, sandbox=sandbox, dynamodb=dynamodb, pulumi=arguments.pulumi
            ) as stack,
            signals.allowed(),
        ):
            collect_the_rest()
            if arguments.command == "demo":
                return run_demo.play_all(stack)
            if arguments.pulumi:
                print(f"To deploy changes from another shell:\n{stack.engine.shell_commands}\n")
            _print_addresses(stack, sandbox)
            _wait_for_signal()
    except (ToolUnavailableError, PortUnavailableError, DeployError, RunError) as error:
        if signals.requested:  # the signal has ended a child process, too
            return INTERRUPTED
        print(error, file=sys.stderr)
        return 1
    return 0


def _wait_for_signal() -> None:
    with suppress(KeyboardInterrupt):  # the usual end, which is no failure
        threading.Event().wait()


def _sandbox_keys() -> dict[str, str] | None:
    """The keys of a Stripe sandbox, where the environment has them; raises ValueError where one is missing."""
    key = os.environ.get("STRIPE_SECRET_KEY", "")
    if not key.startswith("sk_test_"):
        return None
    webhook_secret = os.environ.get("STRIPE_WEBHOOK_SECRET")
    if not webhook_secret:
        raise ValueError(
            "STRIPE_SECRET_KEY is set, but STRIPE_WEBHOOK_SECRET is not: `stripe listen` prints it; unset both to use "
            "the fake Stripe"
        )
    return {
        "secret_key": key,
        "publishable_key": os.environ.get("STRIPE_PUBLISHABLE_KEY", "pk_test_not_given"),
        "webhook_secret": webhook_secret,
    }


def _print_addresses(stack: "LocalStack", sandbox: dict[str, str] | None) -> None:
    """Prints where to go next, and last the line `ready http://…`, for which scripts wait."""
    if sandbox:
        stripe = "the sandbox of STRIPE_SECRET_KEY"
        pay_page = "Stripe's, at the checkout_url that the API returns"
    else:
        stripe = f"the fake, {stack.url}/stripe/v1"
        pay_page = f"{stack.url}/stripe/pay/{{session_id}}, the checkout_url that the API returns"
    print(
        f"Shop        {stack.url}/, for guests\n"
        f"Console     {stack.url}/console, for operators\n"
        f"Reference   {stack.url}/docs, for developers\n"
        f"API         {stack.url}/api\n"
        f"Pay page    {pay_page}\n"
        f"Admin API   {stack.url}/local/ lists reservations, executions, faults and the rest\n"
        f"Stripe      {stripe}\n"
        f"Log         {stack.log}\n"
        f"Docs        README.md has a session to try, docs/integration.md the routes\n"
        f"Ctrl-C stops it.\n"
        f"ready {stack.url}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
