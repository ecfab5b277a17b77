"""The pages that people see on the local stack: the demo shop, the operators' console, the API reference."""

from collections.abc import Mapping
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from console.console_app import create_app
from console.console_configuration import Configuration
from console.sign_in import OneClick
from local.admin_api.local_admin import LocalAdmin
from local.aws.gateway import Receive, Scope, Send
from local.shop.shop_app import create_shop
from local.shop.shop_bookings import ShopBookings

OPERATOR = "local-operator"


class Websites:
    """Serves `/console…`, and the shop at every other address that the rest of the stack leaves."""

    def __init__(self, url: str, *, stage: str, admin: LocalAdmin, environment: Mapping[str, str]) -> None:
        time_zone = ZoneInfo(environment["PROPERTY_TIME_ZONE"])
        self._console = create_app(
            Configuration(
                api_url=f"{url}/{stage}",
                hosts=hosts(url),
                sign_in=OneClick(lambda: str(admin.token(OPERATOR, ["operators"])["token"])),
                time_zone=time_zone,
                neighbours={"Demo shop": "/", "For developers": "/docs"},
            )
        )
        self._shop = create_shop(ShopBookings(url, stage=stage, admin=admin), hosts=hosts(url), time_zone=time_zone)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        site = self._console if path == "/console" or path.startswith("/console/") else self._shop
        await site(scope, receive, send)


def hosts(url: str) -> list[str]:
    """The Host headers of a server on the loopback address."""
    port = urlsplit(url).port
    return [f"127.0.0.1:{port}", f"localhost:{port}"]
