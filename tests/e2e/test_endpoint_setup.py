"""`make stripe-webhook` against the fake: the endpoint, its secret, and that no event is lost meanwhile."""

from typing import Any

import boto3
import pytest

from infra.stripe_keys import PLACEHOLDER, store_keys
from scripts.stripe_endpoint import EVENTS, set_up
from shared.adapters.stripe_api import API_VERSION
from tests.e2e.conftest import StackOverHttp, age_stored_secrets
from tests.harness.waiting import wait_until


@pytest.fixture
def outputs(stack: StackOverHttp) -> dict[str, Any]:
    """The stack's outputs, with the address of the webhook on this machine."""
    return {**stack.outputs, "webhookUrl": f"{stack.url}/api/webhooks/stripe"}


def run(stack: StackOverHttp, outputs: dict[str, Any], *, replace: bool = False) -> str:
    return set_up(outputs, replace=replace, api_base=f"{stack.url}/stripe")


def parameter(outputs: dict[str, Any]) -> str:
    ssm = boto3.client("ssm", region_name="eu-west-1")
    return str(ssm.get_parameter(Name=outputs["webhookSecretParameter"], WithDecryption=True)["Parameter"]["Value"])


def endpoints(stack: StackOverHttp) -> list[dict[str, Any]]:
    return stack.stripe.endpoints()


def pay_and_confirm(stack: StackOverHttp) -> None:
    booking = stack.reserve()
    booking.pay_now()
    assert booking.pay_on_page() == 303
    wait_until(lambda: booking.reservation_status == "confirmed", "the confirmation")


def test_a_correct_endpoint_stays_and_one_with_other_events_is_corrected(
    stack: StackOverHttp, outputs: dict[str, Any]
) -> None:
    (endpoint,) = endpoints(stack)
    assert run(stack, outputs) == f"{endpoint['id']} is correct"
    endpoint["enabled_events"] = ["charge.refunded"]
    assert endpoint["id"] in run(stack, outputs)
    (corrected,) = endpoints(stack)
    names = ("id", "enabled_events", "api_version")
    assert [corrected[name] for name in names] == [endpoint["id"], EVENTS, API_VERSION]


def test_replacing_the_endpoint_rotates_the_secret_while_bookings_are_confirmed(
    stack: StackOverHttp, outputs: dict[str, Any]
) -> None:
    before = parameter(outputs)
    pay_and_confirm(stack)
    run(stack, outputs, replace=True)
    *_, old, new = endpoints(stack)
    assert (old["status"], new["status"]) == ("disabled", "enabled")
    assert (new["enabled_events"], new["api_version"]) == (EVENTS, API_VERSION)
    secret, overlapping = parameter(outputs).split(",")
    assert (overlapping, stack.stripe.webhooks.secrets[new["id"]]) == (before, [secret])
    pay_and_confirm(stack)


def test_the_old_endpoint_delivers_until_the_new_secret_is_stored(
    stack: StackOverHttp, outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would deliver if storing failed."""
    before = [endpoint for endpoint in endpoints(stack) if endpoint["status"] == "enabled"]

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("scripts.stripe_endpoint.store_keys", fail)
        with pytest.raises(ConnectionError):
            run(stack, outputs, replace=True)
    assert [endpoint["status"] for endpoint in before] == ["enabled"]
    pay_and_confirm(stack)


def test_the_secret_key_reports_until_another_key_is_given(stack: StackOverHttp, outputs: dict[str, Any]) -> None:
    def stored(name: str) -> str:
        ssm = boto3.client("ssm", region_name="eu-west-1")
        found = ssm.get_parameter(Name=outputs[f"{name}Parameter"], WithDecryption=True)
        return str(found["Parameter"]["Value"])

    before, own = stored("reportingKey"), stored("secretKey")
    store_keys(outputs, secret_key=own)
    assert stored("reportingKey") == before
    store_keys(outputs, reporting_key=PLACEHOLDER)
    store_keys(outputs, secret_key=own)
    assert stored("reportingKey") == own
    store_keys(outputs, reporting_key=before)
    assert stored("reportingKey") == before


def test_a_stack_without_a_secret_gets_its_endpoint(stack: StackOverHttp, outputs: dict[str, Any]) -> None:
    store_keys(outputs, webhook_secret=PLACEHOLDER)
    assert "created" in run(stack, outputs)
    new = [endpoint for endpoint in endpoints(stack) if endpoint["status"] == "enabled"]
    assert len(new) == 1
    assert stack.stripe.webhooks.secrets[new[0]["id"]] == [parameter(outputs)]
    age_stored_secrets()  # a refused secret is read again every 30 s at most
    pay_and_confirm(stack)
