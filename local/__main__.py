"""`python -m local`: serve the whole system on this machine; `python -m local demo`: run the stories and print them."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext

PORT = 8400


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["serve", "demo"], default="serve")
    parser.add_argument("--port", type=int, help=f"where to listen on 127.0.0.1 (serve: {PORT}, demo: any free one)")
    parser.add_argument(
        "--set",
        dest="config",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=_assignment,
        help="a Pulumi config key of the project, e.g. checkoutWindowSeconds=20",
    )
    parser.add_argument(
        "--dynamodb",
        metavar="local|URL",
        help="keep the items in AWS's DynamoDB Local, which Maven brings, or in the one that runs there",
    )
    parser.add_argument("--pulumi", action="store_true", help="let the Pulumi engine deploy (make pulumi-cli)")
    given = parser.parse_args(arguments)
    sandbox = _sandbox(parser) if given.command == "serve" else None
    # After the arguments: a wrong one is told at once, and not after the seconds that these imports take.
    from pulumi import RunError

    from local import demo
    from local.aws.dynamodb_local import dynamodb_local
    from local.external_tools import ToolUnavailableError
    from local.pulumi.resources.resource_type import DeployError
    from local.stack import LocalStack, PortBusyError

    config = dict(given.config)
    try:
        with dynamodb_local() if given.dynamodb == "local" else nullcontext(given.dynamodb) as dynamodb:
            if given.command == "demo":
                return demo.run(port=given.port or 0, config=config, dynamodb=dynamodb, pulumi=given.pulumi)
            with LocalStack(
                port=given.port or PORT, config=config, sandbox=sandbox, dynamodb=dynamodb, pulumi=given.pulumi
            ) as stack:
                if given.pulumi:
                    print(stack.engine.shell_commands, flush=True)
                print(f"ready {stack.url}", flush=True)
                _wait_for_the_end()
    except (ToolUnavailableError, PortBusyError, DeployError, RunError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _sandbox(parser: argparse.ArgumentParser) -> dict[str, str] | None:
    """The keys of a Stripe sandbox, where the environment has them; `stripe listen` prints the webhook secret."""
    key = os.environ.get("STRIPE_SECRET_KEY", "")
    if not key.startswith("sk_test_"):
        return None
    webhook_secret = os.environ.get("STRIPE_WEBHOOK_SECRET")
    if not webhook_secret:
        parser.error("STRIPE_SECRET_KEY is a sandbox's, and needs STRIPE_WEBHOOK_SECRET, which `stripe listen` prints")
    return {
        "secret_key": key,
        "publishable_key": os.environ.get("STRIPE_PUBLISHABLE_KEY", "pk_test_not_given"),
        "webhook_secret": webhook_secret,
    }


def _wait_for_the_end() -> None:
    """Until Ctrl-C or SIGTERM."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    end.wait()


if __name__ == "__main__":
    sys.exit(main())
