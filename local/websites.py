"""The pages that people see on the local stack: the operators' console."""

from collections.abc import Mapping
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from console.console_app import create_app
from console.console_configuration import Configuration
from console.sign_in import OneClick
from local.admin_api.local_admin import LocalAdmin
from local.aws.gateway import Receive, Scope, Send

OPERATOR = "local-operator"


class Websites:
    """Serves what no other address of the stack does."""

    def __init__(self, url: str, *, stage: str, admin: LocalAdmin, environment: Mapping[str, str]) -> None:
        self._console = create_app(
            Configuration(
                api_url=f"{url}/{stage}",
                hosts=hosts(url),
                sign_in=OneClick(lambda: str(admin.token(OPERATOR, ["operators"])["token"])),
                time_zone=ZoneInfo(environment["PROPERTY_TIME_ZONE"]),
            )
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._console(scope, receive, send)


def hosts(url: str) -> list[str]:
    """The Host headers of a server on the loopback address."""
    port = urlsplit(url).port
    return [f"127.0.0.1:{port}", f"localhost:{port}"]
