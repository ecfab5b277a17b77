"""Secrets from SSM Parameter Store, cached for 5 minutes; a refused one is read again, at most every 30 s."""

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import boto3
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from shared.adapters import aws
from shared.domain.errors import SecretUnavailable

MAX_AGE = 300
REFRESH_INTERVAL = 30

# The parameter with the key of Stripe's to use, where it is not the secret one.
STRIPE_KEY: ContextVar[str] = ContextVar("stripe_key", default="")

_refreshed: dict[str, float] = {}


@functools.cache
def _parameters() -> SSMProvider:
    # The provider's own client would wait 60 s for an answer, and read botocore's data again.
    return SSMProvider(boto3_client=boto3.client("ssm", config=aws.CLIENT_CONFIG))


def secret(parameter: str) -> str:
    """The decrypted value of a parameter. Raises SecretUnavailable if it cannot be read."""
    return _read(parameter, force=False)


def refreshed(parameter: str) -> str | None:
    """The value read again after the cached one was refused; None if that was done less than 30 s ago."""
    now = time.monotonic()
    if now - _refreshed.get(parameter, -REFRESH_INTERVAL) < REFRESH_INTERVAL:
        return None
    _refreshed[parameter] = now
    return _read(parameter, force=True)


@contextmanager
def stripe_key(parameter: str) -> Iterator[None]:
    """Call Stripe with the key of another parameter until the end of the block."""
    token = STRIPE_KEY.set(parameter)
    try:
        yield
    finally:
        STRIPE_KEY.reset(token)


def _read(parameter: str, *, force: bool) -> str:
    try:
        value = _parameters().get(parameter, decrypt=True, max_age=MAX_AGE, force_fetch=force)
    except GetParameterError:
        # The cause may quote the request, so the message has the name alone.
        raise SecretUnavailable(f"cannot read parameter {parameter}") from None
    return str(value).strip()
