"""Secrets from SSM Parameter Store, kept for 5 minutes; re-read at once when one is refused, every 30 s at most."""

import time

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from shared.domain.errors import SecretUnavailable

MAX_AGE = 300
REFRESH_INTERVAL = 30

_refreshed: dict[str, float] = {}


def secret(parameter: str) -> str:
    """The decrypted value of a SecureString parameter. Raises SecretUnavailable where SSM does not answer."""
    return _read(parameter, force=False)


def refreshed(parameter: str) -> str | None:
    """The value read anew, for when the cached one was refused; None when that was done less than 30 s ago."""
    now = time.monotonic()
    if now - _refreshed.get(parameter, -REFRESH_INTERVAL) < REFRESH_INTERVAL:
        return None
    _refreshed[parameter] = now
    return _read(parameter, force=True)


def _read(parameter: str, *, force: bool) -> str:
    try:
        value = parameters.get_parameter(parameter, decrypt=True, max_age=MAX_AGE, force_fetch=force)
    except GetParameterError as error:
        # The cause may quote the request; the name says enough.
        raise SecretUnavailable(f"cannot read parameter {parameter}") from error
    return str(value)
