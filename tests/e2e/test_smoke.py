"""`make smoke` against the local stack: every check that can run here passes, and each finds its fault."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts import smoke, smoke_stack
from scripts.smoke_checks import CHECKS
from scripts.smoke_stack import SmokeStack
from tests.e2e.conftest import StackOverHttp

ROOT = Path(__file__).parents[2]
NEEDS_AWS = {"alarm", "definitions", "permissions"}


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    return {"operatorEmail": "operators@example.com"}


@pytest.fixture
def outputs(stack: StackOverHttp) -> dict[str, Any]:
    """The stack's outputs, with the addresses on this machine."""
    return {**stack.outputs, "apiUrl": f"{stack.url}/api", "webhookUrl": f"{stack.url}/api/webhooks/stripe"}


def test_every_open_question_of_the_docs_is_a_check() -> None:
    page = (ROOT / "docs" / "real-parts.md").read_text(encoding="utf-8")
    section = page.partition("\n## Unproven until there is an AWS account\n")[2]
    assert re.findall(r"^\| `([a-z-]+)` \| .{20,} \|$", section, re.MULTILINE) == list(CHECKS)


def test_every_check_passes_that_can_run_here(stack: StackOverHttp, outputs: dict[str, Any]) -> None:
    results = {result.name: result for result in smoke.run(outputs, local=True)}
    assert results.keys() == CHECKS.keys()
    assert {name for name, result in results.items() if result.outcome == "left out"} == NEEDS_AWS
    assert [result for result in results.values() if result.outcome == "FAILED"] == []


def test_it_leaves_nothing_behind_but_two_cancelled_bookings(stack: StackOverHttp, outputs: dict[str, Any]) -> None:
    def listed() -> list[Any]:
        cognito, region = boto3.client("cognito-idp", region_name="eu-west-1"), "eu-west-1"
        pool = outputs["userPoolId"]
        return [
            cognito.list_users(UserPoolId=pool)["Users"],
            cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"],
            boto3.client("sqs", region_name=region).list_queues().get("QueueUrls", []),
            boto3.client("sns", region_name=region).list_subscriptions()["Subscriptions"],
        ]

    before = listed()
    smoke.run(outputs, local=True)
    assert listed() == before
    assert stack.running() == {}


# Faults that each check must find.


def _may_not_signal(stack: StackOverHttp, _: dict[str, Any]) -> None:
    role = "booking-local-payments-api"
    policy = json.loads(stack.local.permissions.policies[role])
    policy["Statement"] = [one for one in policy["Statement"] if "states:SendTaskSuccess" not in one["Action"]]
    stack.local.permissions.policies[role] = json.dumps(policy)
    stack.local.permissions._decisions.clear()


def _no_webhooks(stack: StackOverHttp, _: dict[str, Any]) -> None:
    stack.stripe.webhooks.set_mode("hold")


def _no_target(stack: StackOverHttp, _: dict[str, Any]) -> None:
    rule = "booking-local-executions-died"
    boto3.client("events", region_name="eu-west-1").remove_targets(Rule=rule, Ids=["operators", "reconciler"])


def _no_limit_of_a_route(stack: StackOverHttp, _: dict[str, Any]) -> None:
    gateway = boto3.client("apigateway", region_name="eu-west-1")
    (api,) = [one["id"] for one in gateway.get_rest_apis()["items"] if one["name"] == "booking-local-payments"]
    path = "/~1payments~1checkout-session/POST/throttling/rateLimit"
    change = {"op": "replace", "path": path, "value": "1000"}
    gateway.update_stage(restApiId=api, stageName="api", patchOperations=[change])


def _alias_of_the_working_version(stack: StackOverHttp, _: dict[str, Any]) -> None:
    functions = boto3.client("lambda", region_name="eu-west-1")
    functions.update_alias(FunctionName="booking-local-release-hold", Name="live", FunctionVersion="$LATEST")


def _nobody_subscribed(stack: StackOverHttp, _: dict[str, Any]) -> None:
    sns = boto3.client("sns", region_name="eu-west-1")
    for one in sns.list_subscriptions()["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])


def _other_events(stack: StackOverHttp, _: dict[str, Any]) -> None:
    (endpoint,) = stack.stripe.endpoints()
    endpoint["enabled_events"] = ["charge.refunded"]


def _other_address(stack: StackOverHttp, outputs: dict[str, Any]) -> None:
    outputs["apiUrl"] = f"{stack.url}/local"


FAULTS: dict[str, tuple[Callable[[StackOverHttp, dict[str, Any]], None], str]] = {
    "gateway": (_other_address, "no token"),
    "webhook-delivery": (_no_webhooks, "delivered by Stripe with a signature that the webhook accepts: not within"),
    "stage-settings": (_no_limit_of_a_route, "have limits of their own"),
    "aliases": (_alias_of_the_working_version, "booking-local-release-hold:live is $LATEST"),
    "subscription": (_nobody_subscribed, "nobody has confirmed a subscription"),
    "stripe-endpoint": (_other_events, "sends other events than are handled"),
    "dead-execution": (_no_target, "a message to operators with ExecutionDied"),
    "restart": (_no_target, "execution PAY-SMOKE-"),
    "signal": (_may_not_signal, 'allow("states:SendTaskSuccess", on=["*"])'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_check_finds_its_fault(
    stack: StackOverHttp, outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(smoke_stack, "PATIENCE", 0.05)
    plant, message = FAULTS[name]
    plant(stack, outputs)
    with ExitStack() as cleanup:
        result = smoke._run(name, CHECKS[name], SmokeStack(outputs, cleanup), local=True)
        cleanup.pop_all()
    assert (result.outcome, message in result.text) == ("FAILED", True), result


def test_with_a_live_key_it_opens_no_booking(
    stack: StackOverHttp, outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmokeStack, "live", True)
    results = {result.name: result for result in smoke.run(outputs, local=True)}
    opening = {name for name, check in CHECKS.items() if check.needs_booking}
    assert {name for name, result in results.items() if result.outcome == "left out"} == opening | NEEDS_AWS


def test_the_command_fails_if_a_check_does(
    outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {name: "left out" if name in NEEDS_AWS else "ok" for name in CHECKS}
    monkeypatch.setattr(smoke, "run", lambda *_, **__: [smoke.Result(name, of, "") for name, of in outcomes.items()])
    monkeypatch.setattr("scripts.stack_outputs.read", lambda _: outputs)
    assert smoke.main(["dev"]) == 0
    outcomes["aliases"] = "FAILED"
    assert smoke.main(["dev"]) == 1
    assert capsys.readouterr().out.splitlines() == ["13 of 16 checks passed", "12 of 16 checks passed; failed: aliases"]
