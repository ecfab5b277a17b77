"""The Stripe keys of a stack: in its parameters, and nowhere in Pulumi's configuration or state."""

from collections.abc import Mapping
from typing import Any

import boto3
from pydantic.alias_generators import to_camel

PLACEHOLDER = "to be set by make stripe-webhook"
"""What the program makes the parameters with. No key and no signing secret: it opens and signs nothing."""


def store_keys(outputs: Mapping[str, Any], **keys: str) -> None:
    """Puts `secret_key`, `publishable_key`, `webhook_secret` into the parameters that the stack's outputs name."""
    ssm = boto3.client("ssm", region_name=outputs["operatorTopicArn"].split(":")[3])
    for name, value in keys.items():
        ssm.put_parameter(Name=outputs[f"{to_camel(name)}Parameter"], Value=value, Type="SecureString", Overwrite=True)
