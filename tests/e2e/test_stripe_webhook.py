"""`make stripe-webhook` against the fake: the endpoint, its secret, and that no event is lost on the way."""

from typing import Any

import boto3
import pytest

from infra.stripe_keys import PLACEHOLDER, store_keys
from scripts.stripe_endpoint import EVENTS, set_up
from shared.adapters.stripe_api import API_VERSION
from tests.e2e.conftest import Client, secrets_read_long_ago, until


@pytest.fixture
def outputs(client: Client) -> dict[str, Any]:
    """The stack's, with the webhook where this machine has it."""
    return {**client.stack.outputs, "webhookUrl": f"{client.url}/api/webhooks/stripe"}


def run(client: Client, outputs: dict[str, Any], *, replace: bool = False) -> str:
    return set_up(outputs, replace=replace, api_base=f"{client.url}/stripe")


def parameter(outputs: dict[str, Any]) -> str:
    ssm = boto3.client("ssm", region_name="eu-west-1")
    return str(ssm.get_parameter(Name=outputs["webhookSecretParameter"], WithDecryption=True)["Parameter"]["Value"])


def endpoints(client: Client) -> list[dict[str, Any]]:
    return client.stack.fake_stripe.endpoints()


def pays(client: Client) -> None:
    booking = client.booking()
    assert booking.pay(booking.session()) == 303
    until(lambda: booking.reservation["status"] == "confirmed", lambda: "a confirmed booking")


def test_an_endpoint_that_is_right_stays_and_one_with_other_events_is_mended(
    client: Client, outputs: dict[str, Any]
) -> None:
    (endpoint,) = endpoints(client)
    assert run(client, outputs) == f"{endpoint['id']} is as it should be"
    endpoint["enabled_events"] = ["charge.refunded"]
    assert endpoint["id"] in run(client, outputs)
    (mended,) = endpoints(client)
    assert (mended["id"], mended["enabled_events"], mended["api_version"]) == (endpoint["id"], EVENTS, API_VERSION)


def test_replacing_it_rotates_the_secret_and_bookings_are_confirmed_all_the_while(
    client: Client, outputs: dict[str, Any]
) -> None:
    before = parameter(outputs)
    pays(client)
    run(client, outputs, replace=True)
    *_, old, new = endpoints(client)
    assert (old["status"], new["status"]) == ("disabled", "enabled")
    assert (new["enabled_events"], new["api_version"]) == (EVENTS, API_VERSION)
    secret, overlapping = parameter(outputs).split(",")
    assert (overlapping, client.stack.fake_stripe.webhooks.secrets[new["id"]]) == (before, [secret])
    pays(client)


def test_a_stack_whose_secret_was_never_set_gets_its_endpoint(client: Client, outputs: dict[str, Any]) -> None:
    store_keys(outputs, webhook_secret=PLACEHOLDER)
    assert "made" in run(client, outputs)
    new = [endpoint for endpoint in endpoints(client) if endpoint["status"] == "enabled"]
    assert len(new) == 1
    assert client.stack.fake_stripe.webhooks.secrets[new[0]["id"]] == [parameter(outputs)]
    secrets_read_long_ago()  # a refused secret is read anew every 30 s at most
    pays(client)
