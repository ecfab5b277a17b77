"""Clients of the emulated AWS, one for each service: each takes milliseconds to create, and threads may share it."""

import functools
from typing import Any

import boto3
from botocore.config import Config

from local.aws.aws_account import LOCAL, REGION


@functools.cache
def client(service: str) -> Any:
    """A client that calls as anybody from outside, or as the function that is running."""
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


@functools.cache
def local_client(service: str) -> Any:
    """A client of the local stack itself, which meets no faults and needs no permissions."""
    config = Config(region_name=REGION, user_agent_extra=f"caller/{LOCAL}")
    return boto3.client(service, config=config)  # type: ignore[call-overload]


@functools.cache
def table(name: str) -> Any:
    """boto3's resource of a table. What it is used for here, reading and writing items, changes nothing in it."""
    return boto3.resource("dynamodb", region_name=REGION).Table(name)
