"""`python -m console` serves the console on this machine, for a deployed stack.

Sign-in goes through the stack's user pool; the tokens stay in the memory of this process.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import uvicorn

from console.console_app import create_app
from console.console_configuration import Configuration
from console.openid import OpenId
from console.sign_in import SignInFailedError
from scripts import stack_outputs

HOST = "127.0.0.1"
PORT = 8401  # the user pool's client allows the way back to this one only


@dataclass(frozen=True)
class Arguments:
    """`issuer` is the user pool's as OpenID Connect knows it."""

    api: str
    issuer: str
    client_id: str
    port: int
    time_zone: ZoneInfo
    stripe_dashboard: str | None = None
    aws_console: dict[str, str] | None = None


def parse(given: Sequence[str]) -> Arguments:
    """Exits with code 2 where an argument is wrong or missing."""
    parser = argparse.ArgumentParser(prog="python -m console", description="Serve the operators' console.")
    parser.add_argument("--stack", help="a stack of this project, whose outputs say the rest")
    parser.add_argument("--api", help="the address of the API")
    parser.add_argument("--user-pool", help="the id of the user pool, such as eu-west-1_Abc, or an issuer's address")
    parser.add_argument("--client-id", help="the client of the console in that user pool")
    parser.add_argument("--port", type=int, default=PORT, help=f"port on {HOST} ({PORT})")
    parser.add_argument("--time-zone", default="Europe/Madrid", help="the property's (Europe/Madrid)")
    options = parser.parse_args(given)
    outputs = stack_outputs.read(options.stack) if options.stack else {}
    api = options.api or outputs.get("apiUrl")
    pool = options.user_pool or outputs.get("userPoolId")
    client_id = options.client_id or outputs.get("consoleClientId")
    if not (api and pool and client_id):
        parser.error("give --stack, or --api with --user-pool and --client-id")
    try:
        time_zone = ZoneInfo(options.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        parser.error(f"{options.time_zone} is not a time zone")
    return Arguments(
        api=str(api).rstrip("/"),
        issuer=issuer(str(pool)),
        client_id=str(client_id),
        port=options.port,
        time_zone=time_zone,
        stripe_dashboard=_stripe_dashboard(outputs),
        aws_console=_aws_console(outputs),
    )


def issuer(pool: str) -> str:
    """The issuer's address of a user pool; an address stays as it is."""
    if "://" in pool:
        return pool.rstrip("/")
    return f"https://cognito-idp.{pool.partition('_')[0]}.amazonaws.com/{pool}"


def _stripe_dashboard(outputs: dict[str, object]) -> str | None:
    if not outputs:
        return None
    return f"https://dashboard.stripe.com/{'' if outputs.get('production') else 'test/'}payments/"


def _aws_console(outputs: dict[str, object]) -> dict[str, str] | None:
    """For each workflow, what an execution's name is appended to."""
    if "consoleUrl" not in outputs:
        return None
    return {
        workflow: f"{outputs['consoleUrl']}{outputs[f'{workflow}StateMachineArn']}:".replace(
            ":stateMachine:", ":execution:"
        )
        for workflow in ("payment", "refund")
    }


def configure(arguments: Arguments) -> Configuration:
    """Raises SignInFailedError where the user pool cannot be reached."""
    host = f"localhost:{arguments.port}"  # Cognito sends people back to no other name without https
    return Configuration(
        api_url=arguments.api,
        hosts=[host],
        sign_in=OpenId.discover(
            arguments.issuer, client_id=arguments.client_id, redirect=f"http://{host}/console/callback"
        ),
        time_zone=arguments.time_zone,
        stripe_dashboard=arguments.stripe_dashboard,
        aws_console=arguments.aws_console,
    )


def main(given: Sequence[str] | None = None) -> int:
    arguments = parse(sys.argv[1:] if given is None else given)
    try:
        app = create_app(configure(arguments))
    except SignInFailedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"ready http://localhost:{arguments.port}/console\n")
    sys.stdout.flush()
    uvicorn.run(app, host=HOST, port=arguments.port, log_config=None, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
