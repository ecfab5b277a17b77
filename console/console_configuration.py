"""What one console needs to know: where its API is, how people sign in, and what its pages link to."""

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from console.sign_in import SignIn


@dataclass(frozen=True)
class Configuration:
    """`hosts` are the values of the Host header that it answers to, such as `127.0.0.1:8400`.

    `stripe_dashboard` and `aws_console` are what an id is appended to; None where there is nothing to link to.
    """

    api_url: str
    hosts: Collection[str]
    sign_in: SignIn
    time_zone: ZoneInfo
    stripe_dashboard: str | None = None
    aws_console: str | None = None
    runbook: str | None = None
