"""Stripe's webhook signature: HMAC-SHA256 over `{t}.{body}` in raw bytes, in the header `t=…,v1=…[,v1=…]`.

The SDK's verifier is not used: it accepts timestamps from the future, fails on bytes that are not UTF-8, takes only
one secret, and importing it would slow down the webhook (docs/decisions.md).
"""

import hmac
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

TOLERANCE = 300  # seconds, into the past and into the future
PREFIX = "whsec_"  # any other value is a placeholder, which must verify nothing


def verified(body: bytes, header: str, secrets: Iterable[str], now: datetime) -> bool:
    """Whether the header has a v1 signature by one of the secrets, made within 5 minutes of `now`."""
    fields = [field.partition("=") for field in header.split(",")]
    stamps = [value for name, _, value in fields if name.strip() == "t"]
    signatures = [value for name, _, value in fields if name.strip() == "v1"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) <= len("9999999999")):
        return False
    if abs(now.timestamp() - int(stamps[0])) > TOLERANCE:
        return False
    signed = stamps[0].encode() + b"." + body
    expected = [
        hmac.new(secret.encode(), signed, sha256).hexdigest().encode()
        for secret in secrets
        if secret.startswith(PREFIX)
    ]
    return any(hmac.compare_digest(ours, theirs.encode()) for ours in expected for theirs in signatures)


def secrets_in(parameter: str) -> list[str]:
    """The signing secrets in the parameter: one, or two separated by a comma during a rotation."""
    return [secret.strip() for secret in parameter.split(",")]
