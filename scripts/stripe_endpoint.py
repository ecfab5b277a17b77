"""Stores the Stripe keys of a deployed stack and sets up its webhook endpoint: `make stripe-webhook STACK=dev`.

The keys in the environment (STRIPE_SECRET_KEY, STRIPE_REPORTING_KEY, STRIPE_PUBLISHABLE_KEY) are stored in the stack's
parameters first.

The endpoint gets the API version that the code is pinned to and exactly the events that it handles. Its signing secret,
which Stripe returns only once, is stored in the stack's parameter. Safe to run again at any time: what is correct
stays. An endpoint with another API version, or whose secret is not in the parameter, is replaced without losing an
event: the new secret is stored beside the old one before the old endpoint is disabled.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import boto3
import stripe

from infra.stripe_keys import PLACEHOLDER, store_keys
from scripts import stack_outputs
from shared.adapters.stripe_api import API_VERSION
from shared.domain.secret_shapes import clean_secret
from shared.services.stripe_events import HANDLED

EVENTS = sorted(HANDLED)
API_BASE = "https://api.stripe.com"


def set_up(outputs: Mapping[str, Any], *, replace: bool = False, api_base: str = API_BASE) -> str:
    """Creates or corrects the endpoint, and returns a sentence about what was done; `outputs` are the stack's.

    `replace` creates a new endpoint, and with it a new secret, in any case: this rotates the secret.
    """
    ssm = boto3.client("ssm", region_name=stack_outputs.region(outputs))
    key = clean_secret("secret_key", _parameter(ssm, outputs["secretKeyParameter"]))
    parameter = _parameter(ssm, outputs["webhookSecretParameter"])
    stored = [] if parameter == PLACEHOLDER else clean_secret("webhook_secret", parameter).split(",")
    endpoints = stripe.StripeClient(
        key, stripe_version=API_VERSION, base_addresses={"api": api_base}
    ).v1.webhook_endpoints
    enabled = [
        endpoint
        for endpoint in endpoints.list({"limit": 100}).auto_paging_iter()
        if endpoint.url == outputs["webhookUrl"] and endpoint.status == "enabled"
    ]
    current = next((endpoint for endpoint in enabled if endpoint.api_version == API_VERSION), None)
    if current is not None and stored and not replace:
        if sorted(current.enabled_events) == EVENTS:
            return f"{current.id} is correct"
        endpoints.update(current.id, {"enabled_events": EVENTS})  # type: ignore[arg-type]  # wants literal names
        return f"{current.id} now gets the {len(EVENTS)} handled events"

    created = endpoints.create(
        {
            "url": outputs["webhookUrl"],
            "api_version": API_VERSION,  # type: ignore[typeddict-item]  # lists older versions only
            "enabled_events": EVENTS,  # type: ignore[typeddict-item]
            "description": "booking-payments",
        }
    )
    if created.secret is None:
        raise RuntimeError(f"Stripe returned no secret for {created.id}")
    # The old secret stays valid: events that the old endpoint sent may still arrive.
    secrets = ",".join([created.secret, *stored[:1]])
    store_keys(outputs, webhook_secret=secrets)
    for old in enabled:
        endpoints.update(old.id, {"disabled": True})
    disabled = f"; {', '.join(old.id for old in enabled)} disabled" if enabled else ""
    return f"{created.id} created, its secret is in {outputs['webhookSecretParameter']}{disabled}"


def _parameter(ssm: Any, name: str) -> str:
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def main(stack: str, *options: str) -> None:
    outputs = stack_outputs.read(stack)
    names = ("secret_key", "reporting_key", "publishable_key")
    keys = {name: os.environ.get(f"STRIPE_{name.upper()}") for name in names}
    try:
        store_keys(outputs, **{name: key for name, key in keys.items() if key})
        done = set_up(outputs, replace="--replace" in options, api_base=os.environ.get("STRIPE_API_BASE", API_BASE))
    except ValueError as error:  # a key has the wrong form; the message does not quote it
        sys.exit(str(error))
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
