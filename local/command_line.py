"""The arguments of `python -m local`. A wrong one is reported in one line, which says what was expected."""

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Never

PORT = 8400
MAX_PORT = 65_535
COMMANDS = ("serve", "demo")


@dataclass(frozen=True)
class Arguments:
    """`port` 0 means any free port; `config` are keys of infra/config.py; `dynamodb` is `local`, an address or None."""

    command: str
    port: int
    config: dict[str, str]
    dynamodb: str | None
    pulumi: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        """In one line, without the usage that argparse would print first."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse(arguments: Sequence[str]) -> Arguments:
    """Exits with code 2 where an argument is wrong, 0 after --help."""
    parser = _Parser(
        prog="python -m local",
        description="Run the whole system on this machine, without an AWS or Stripe account.",
        epilog="With STRIPE_SECRET_KEY=sk_test_… and STRIPE_WEBHOOK_SECRET=whsec_… in the environment, `serve` uses "
        "Stripe's sandbox in place of the fake.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "command", nargs="?", default="serve", help="serve (the default), or demo: play scenarios and print them"
    )
    parser.add_argument(
        "--port", type=_port, help=f"port on 127.0.0.1, 0 for any free one (serve: {PORT}, demo: any free one)"
    )
    parser.add_argument(
        "--set",
        dest="config",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=_assignment,
        help="a configuration key of infra/config.py, e.g. checkoutWindowSeconds=20; may be repeated",
    )
    parser.add_argument(
        "--dynamodb",
        metavar="local|URL",
        type=_dynamodb,
        help="store items in AWS's DynamoDB Local, installed with Maven, or in the one at this address",
    )
    parser.add_argument("--pulumi", action="store_true", help="deploy with the Pulumi engine (see make pulumi-cli)")
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        options = [option for option in parser._option_string_actions if option.startswith("--")]
        parser.error(f"unknown argument {unknown[0]!r}{_did_you_mean(unknown[0].partition('=')[0], options)}")
    if parsed.command not in COMMANDS:
        hint = _did_you_mean(parsed.command, COMMANDS) or f"; expected {' or '.join(COMMANDS)}"
        parser.error(f"unknown command {parsed.command!r}{hint}")
    default_port = PORT if parsed.command == "serve" else 0
    return Arguments(
        command=parsed.command,
        port=default_port if parsed.port is None else parsed.port,
        config=dict(parsed.config),
        dynamodb=parsed.dynamodb,
        pulumi=parsed.pulumi,
    )


def _did_you_mean(word: str, candidates: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"expected a number from 0 (any free port) to {MAX_PORT}, got {text!r}")
    return int(text)


def _dynamodb(text: str) -> str:
    if text != "local" and not re.match(r"https?://.", text):
        raise argparse.ArgumentTypeError(f"expected local or an address such as http://127.0.0.1:8000, got {text!r}")
    return text


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, such as holdSeconds=90, got {text!r}")
    # Pulumi takes a moment to import, which only this option needs here.
    from pydantic import ValidationError

    from infra.config import Config

    keys = Config.model_json_schema()["properties"]
    if key not in keys:
        by_lower_case = {known.lower(): known for known in keys}
        nearest = difflib.get_close_matches(key.replace("_", "").lower(), by_lower_case, n=1)
        hint = f"did you mean {by_lower_case[nearest[0]]}?" if nearest else "infra/config.py lists all keys"
        raise argparse.ArgumentTypeError(f"unknown key {key!r}; {hint}")
    try:
        Config.model_validate({key: value})
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"][0] == key:  # the others are keys that Pulumi.local.yaml sets
                reason = _expected(keys[key], value) or problem["msg"].removeprefix("Value error, ")
                raise argparse.ArgumentTypeError(f"{key}: {reason}") from None
    return key, value


def _expected(schema: dict[str, Any], value: str) -> str | None:
    """What a key accepts, from its JSON Schema; None where the key's own validator says it."""
    for alternative in (schema, *schema.get("anyOf", [])):
        match alternative:
            case {"type": "integer", "minimum": least, "maximum": most}:
                return f"expected a whole number from {least} to {most}, got {value!r}"
            case {"type": "boolean"}:
                return f"expected true or false, got {value!r}"
            case {"pattern": pattern}:
                return f"expected text that matches {pattern}, got {value!r}"
    return None
