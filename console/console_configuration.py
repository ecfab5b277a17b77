"""What one console needs to know: where its API is, how people sign in, and what its pages link to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from console.sign_in import SignIn


@dataclass(frozen=True)
class Configuration:
    """`hosts` are the values of the Host header that it answers to, such as `127.0.0.1:8400`.

    An id is appended to `stripe_dashboard`, an execution's name to `aws_console` of its workflow; None: no link.
    `neighbours` are other sites of this host, the addresses by their names.
    """

    api_url: str
    hosts: Collection[str]
    sign_in: SignIn
    time_zone: ZoneInfo
    stripe_dashboard: str | None = None
    aws_console: Mapping[str, str] | None = None
    neighbours: Mapping[str, str] = field(default_factory=dict)
