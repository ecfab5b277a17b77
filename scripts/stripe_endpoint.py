"""The Stripe keys and the webhook endpoint of a deployed stack: `make stripe-webhook STACK=dev`.

A key that the environment has (STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY) goes into its parameter first.

The endpoint has the API version that the code is pinned to and exactly the events that it handles; its signing secret,
which Stripe tells once, goes into the stack's parameter. May be run again at any time: what is right stays. An endpoint
of another API version, or whose secret is not in the parameter, is replaced without losing an event: the new secret is
stored beside the old one before the old endpoint is switched off.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import boto3
import stripe

from infra.stripe_keys import PLACEHOLDER, store_keys
from shared.adapters.stripe_api import API_VERSION
from shared.domain.secret_shapes import clean_secret
from shared.services.stripe_events import HANDLED

EVENTS = sorted(HANDLED)


def set_up(outputs: Mapping[str, Any], *, replace: bool = False, api_base: str = "https://api.stripe.com") -> str:
    """Make the endpoint what it should be, and say what was done; `outputs` are the stack's.

    `replace` makes a new endpoint, and so a new secret, in any case: that is how the secret is rotated.
    """
    ssm = boto3.client("ssm", region_name=outputs["operatorTopicArn"].split(":")[3])
    key = clean_secret("secret_key", _parameter(ssm, outputs["secretKeyParameter"]))
    stored = _parameter(ssm, outputs["webhookSecretParameter"])
    known = [] if stored == PLACEHOLDER else clean_secret("webhook_secret", stored).split(",")
    endpoints = stripe.StripeClient(
        key, stripe_version=API_VERSION, base_addresses={"api": api_base}
    ).v1.webhook_endpoints
    ours = [one for one in endpoints.list({"limit": 100}).auto_paging_iter() if one.url == outputs["webhookUrl"]]
    enabled = [one for one in ours if one.status == "enabled"]
    current = next((one for one in enabled if one.api_version == API_VERSION), None)
    if current is not None and known and not replace:
        if sorted(current.enabled_events) == EVENTS:
            return f"{current.id} is as it should be"
        endpoints.update(current.id, {"enabled_events": EVENTS})  # type: ignore[arg-type]  # names from elsewhere
        return f"{current.id}: its events are the {len(EVENTS)} that are handled now"

    made = endpoints.create(
        {
            "url": outputs["webhookUrl"],
            "api_version": API_VERSION,  # type: ignore[typeddict-item]  # its type lists older ones
            "enabled_events": EVENTS,  # type: ignore[typeddict-item]
            "description": "booking-payments",
        }
    )
    if made.secret is None:
        raise RuntimeError(f"Stripe told no secret for {made.id}")
    # Two at most: what the old endpoint has sent is on its way.
    secrets = ",".join([made.secret, *known[:1]])
    store_keys(outputs, webhook_secret=secrets)
    for old in enabled:
        endpoints.update(old.id, {"disabled": True})
    switched_off = f"; {', '.join(old.id for old in enabled)} switched off" if enabled else ""
    return f"{made.id} made, its secret is in {outputs['webhookSecretParameter']}{switched_off}"


def _parameter(ssm: Any, name: str) -> str:
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def main(stack: str, *options: str) -> None:
    told = subprocess.run(
        ["pulumi", "stack", "output", "--json", "--stack", stack], check=True, capture_output=True, text=True
    ).stdout
    outputs = json.loads(told)
    given = {name: os.environ.get(f"STRIPE_{name.upper()}") for name in ("secret_key", "publishable_key")}
    try:
        store_keys(outputs, **{name: key for name, key in given.items() if key})
        done = set_up(outputs, replace="--replace" in options)
    except ValueError as error:  # the form of a key is wrong; the message does not quote it
        sys.exit(str(error))
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
