"""Stripe's webhook signature, on the raw bytes: HMAC-SHA256 over `{t}.{body}`, header `t=…,v1=…[,v1=…]`.

Our own, since the SDK's verifier accepts timestamps from the future, fails on bytes that are no UTF-8, takes one
secret only, and would cost the webhook the SDK's import (docs/decisions.md).
"""

import hmac
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

TOLERANCE = 300  # seconds, into the past and into the future
PREFIX = "whsec_"  # anything else in the parameter is a placeholder, with which nothing may be signed


def verified(body: bytes, header: str, secrets: Iterable[str], now: datetime) -> bool:
    """Whether one of the header's v1 signatures is one of the secrets', made within 5 minutes of `now`."""
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
    """The signing secrets of the parameter: one, or two separated by a comma while they are rotated."""
    return [secret.strip() for secret in parameter.split(",")]
