"""Where Stripe sends the guest afterwards: pages of the configured front ends only."""

from typing import NamedTuple
from urllib.parse import urlsplit

from shared.contracts.http_bodies import CheckoutSessionRequest
from shared.domain.api_errors import ApiError
from shared.settings import settings


class ReturnUrls(NamedTuple):
    success: str
    cancel: str


def return_urls(request: CheckoutSessionRequest) -> ReturnUrls:
    """The pages of the request, or the default ones. Raises INVALID_REQUEST."""
    origin = settings().origins[0]
    success = request.success_url or f"{origin}/booking/success?session_id={{CHECKOUT_SESSION_ID}}"
    cancel = request.cancel_url or f"{origin}/booking/cancel?reservation_id={request.reservation_id}"
    invalid = {
        name: f"Must be a page on {' or '.join(settings().origins)}."
        for name, url in (("success_url", success), ("cancel_url", cancel))
        if not _is_ours(url)
    }
    if invalid:
        raise ApiError("INVALID_REQUEST", details=invalid)
    return ReturnUrls(success, cancel)


def _is_ours(url: str) -> bool:
    """Whether the page is on a configured front end; Stripe's page must not send guests anywhere else."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or host is None:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in {"localhost", "127.0.0.1"})
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    return secure and origin in settings().origins
