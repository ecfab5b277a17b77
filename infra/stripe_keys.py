"""The Stripe keys of a stack: in SSM parameters, and nowhere in Pulumi's configuration or state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws
from pydantic.alias_generators import to_camel

from shared.domain.secret_shapes import clean_secret

PLACEHOLDER = "to be set by make stripe-webhook"
"""The value with which the parameters are created. It is neither a key nor a signing secret."""

# A write-only value is not in the state. When anything else of a parameter changes, pulumi-aws writes the parameter
# again, with an empty value: the key would be lost. Tags are changed by another call.
_NEVER_CHANGED = [
    *("allowed_pattern", "data_type", "description", "key_id", "tier", "type", "value_wo", "value_wo_version")
]


@dataclass(frozen=True)
class StripeKeys:
    secret_key: aws.ssm.Parameter
    reporting_key: aws.ssm.Parameter
    publishable_key: aws.ssm.Parameter
    webhook_secret: aws.ssm.Parameter


def stripe_keys(*, environment: str, protect: bool) -> StripeKeys:
    """Create a parameter for each key. `store_keys` fills it, so that the key is never in Pulumi's state."""

    def parameter(name: str) -> aws.ssm.Parameter:
        return aws.ssm.Parameter(
            name.replace("_", "-"),
            name=f"/booking/{environment}/stripe/{name}",
            type="SecureString",
            value_wo=PLACEHOLDER,
            value_wo_version=1,
            opts=pulumi.ResourceOptions(protect=protect, ignore_changes=_NEVER_CHANGED),
        )

    return StripeKeys(*map(parameter, ("secret_key", "reporting_key", "publishable_key", "webhook_secret")))


def store_keys(outputs: Mapping[str, Any], **keys: str) -> None:
    """Store `secret_key`, `reporting_key`, `publishable_key`, `webhook_secret` where the stack's outputs say.

    The secret key is used for reporting as well until another key is given for it.
    Raises ValueError if a value does not have the form of Stripe's; then nothing is stored.
    """
    ssm = boto3.client("ssm", region_name=outputs["operatorTopicArn"].split(":")[3])
    cleaned = {name: value if value == PLACEHOLDER else clean_secret(name, value) for name, value in keys.items()}
    if "secret_key" in cleaned and "reporting_key" not in cleaned:
        secret_key, reporting_key = (
            ssm.get_parameter(Name=outputs[f"{name}Parameter"], WithDecryption=True)["Parameter"]["Value"]
            for name in ("secretKey", "reportingKey")
        )
        if reporting_key in {PLACEHOLDER, secret_key}:
            cleaned["reporting_key"] = cleaned["secret_key"]
    for name, value in cleaned.items():
        ssm.put_parameter(Name=outputs[f"{to_camel(name)}Parameter"], Value=value, Type="SecureString", Overwrite=True)
