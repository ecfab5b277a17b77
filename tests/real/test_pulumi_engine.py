"""The Pulumi engine deploys `__main__.py`: previews, changes, refusals, and what its state contains."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws
import pytest
from pulumi.automation import CommandError

from infra import function, openapi, packaging, routes
from infra.grants import trust
from local import credentials
from local.pulumi import automation
from local.pulumi.resources.registry import RESOURCE_TYPES
from statemachines.render import render
from tests.real.pulumi_cloud import PULUMI_MARKS, PulumiCloud, registered

pytestmark = PULUMI_MARKS

WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/guests/0a1b2c3d"

type Json = dict[str, Any]

EVERYTHING: Json = {
    "webAclArn": WEB_ACL,
    "operatorEmail": "operators@example.com",
    "domainName": "payments.example.com",
    "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d",
}


@pytest.mark.defect("A-06")
def test_dev_is_created_as_previewed_stays_the_same_and_is_destroyed(cloud: PulumiCloud) -> None:
    engine = cloud.engine("dev", package="true")
    previewed = engine.preview()
    assert cloud.changes == 0
    assert engine.up() == previewed
    assert previewed == {"create": registered(engine)}
    assert {resource.type for resource in cloud.provider.resources.values()} == RESOURCE_TYPES.keys() - {
        "aws:apigateway/basePathMapping:BasePathMapping",
        "aws:apigateway/domainName:DomainName",
        "aws:kms/alias:Alias",
        "aws:kms/key:Key",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:wafv2/webAclAssociation:WebAclAssociation",
    }
    same = {"same": previewed["create"]}
    changes, existing = cloud.changes, cloud.existing()
    assert engine.up() == same
    assert engine.refresh() == same
    assert engine.up() == same
    assert (cloud.changes, cloud.existing()) == (changes, existing)
    logs_role = cloud.aws.client("apigateway").get_account()["cloudwatchRoleArn"]
    # `delete` counts what the engine only forgets, too: those that are retained.
    assert engine.destroy() == {"delete": previewed["create"]}
    left = {kind: names for kind, names in cloud.existing().items() if names}
    assert left == {"roles": ["booking-payments-api-gateway-logs-eu-west-1"]}
    assert logs_role.endswith(":role/booking-payments-api-gateway-logs-eu-west-1")
    assert cloud.aws.client("apigateway").get_account()["cloudwatchRoleArn"] == logs_role


def test_prod_is_created_as_previewed_stays_the_same_and_is_not_destroyed(cloud: PulumiCloud) -> None:
    engine = cloud.engine("prod", **EVERYTHING, package="true")
    previewed = engine.preview()
    assert engine.up() == previewed == {"create": registered(engine)}
    same = {"same": previewed["create"]}
    assert engine.up() == same
    assert engine.refresh() == same
    changes, existing = cloud.changes, cloud.existing()
    with pytest.raises(CommandError) as refused:
        engine.destroy()
    assert (cloud.changes, cloud.existing()) == (changes, existing)
    protected = [name for kind, name in re.findall(r"aws:(\S+?) \((\S+)\):\n\s+error: ", str(refused.value))]
    assert sorted(protected) == [
        "audit",
        "availability",
        "guests",
        "ledger",
        "payments",
        "publishable-key",
        "reporting-key",
        "reservations",
        "secret-key",
        "stripe-webhook-events",
        "webhook-secret",
    ]
    assert str(refused.value).count("protect") >= len(protected)
    # The key is protected, too, but not listed: the tables that use it stay.
    assert "aws:kms/key:Key" in {resource.type for resource in cloud.provider.resources.values()}


def test_a_refresh_finds_changes_made_elsewhere_and_the_next_up_reverts_them(cloud: PulumiCloud) -> None:
    engine = cloud.engine("dev")
    engine.up()
    cloud.aws.client("lambda").update_function_configuration(FunctionName="booking-dev-release-hold", Timeout=3)
    cloud.aws.client("iam").delete_role_policy(
        RoleName="booking-dev-release-hold", PolicyName="booking-dev-release-hold"
    )
    refreshed = engine.refresh()
    assert (refreshed["update"], refreshed["delete"]) == (1, 1)
    engine.up()
    live = cloud.aws.client("lambda").get_function(FunctionName="booking-dev-release-hold")["Configuration"]
    assert live["Timeout"] == 30
    assert cloud.aws.client("iam").list_role_policies(RoleName="booking-dev-release-hold")["PolicyNames"] == [
        "booking-dev-release-hold"
    ]


# What is refused.


def _invalid_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    def render_invalid(name: str, values: Json) -> str:
        definition = json.loads(render(name, values))
        definition["States"]["AwaitStripe" if name == "payment" else "CheckRefund"]["Next"] = "Nowhere"
        return json.dumps(definition)

    monkeypatch.setattr("infra.workflow.render", render_invalid)


def _role_without_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "trust", lambda _, account: trust("ec2", account=account))


def _no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "sources", lambda: None)


def _two_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    status = routes.PAYMENTS_ROUTES["GET", "/payments/{id}/status"]
    more = {**routes.PAYMENTS_ROUTES, ("GET", "/payments/{payment_id}/receipt"): status}
    monkeypatch.setattr(openapi, "PAYMENTS_ROUTES", more)


INVALID: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "definition": (_invalid_definition, "leads to a state 'Nowhere' that it does not have"),
    "trust": (_role_without_trust, "does not trust lambda.amazonaws.com"),
    "archive": (_no_archive, "a function needs its archive"),
    "paths": (_two_variables, "sibling path variables of different names: {id} and {payment_id}"),
}


def test_invalid_programs_are_refused_before_anything_changes(cloud: PulumiCloud) -> None:
    engine = cloud.engine("dev")
    engine.up()
    changes, existing = cloud.changes, cloud.existing()
    for name, (make_invalid, reason) in INVALID.items():
        with pytest.MonkeyPatch.context() as patch:
            make_invalid(patch)
            with pytest.raises(CommandError) as refused:
                engine.up()
        assert reason in str(refused.value), name
        assert (cloud.changes, cloud.existing()) == (changes, existing), name
    assert engine.up().keys() == {"same"}


def test_two_resources_with_one_name_are_refused(cloud: PulumiCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def program() -> None:
        for name in ("one", "two"):
            pulumi_aws.sns.Topic(name, name="operators")

    monkeypatch.setattr(automation, "_program", program)
    with pytest.raises(CommandError, match=r"(one: two|two: one) is operators already"):
        cloud.engine("dev").up()
    assert cloud.changes == 0


def test_an_error_of_aws_names_the_resource(cloud: PulumiCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def program() -> None:
        pulumi_aws.ssm.Parameter("too-much", name="/too/much", type="Enormous", value="x")

    monkeypatch.setattr(automation, "_program", program)
    with pytest.raises(CommandError, match=r"too-much: An error occurred \(ValidationException\)"):
        cloud.engine("dev").up()


# Secrets.


def test_a_secret_is_encrypted_in_the_state_also_after_a_refresh(
    cloud: PulumiCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program() -> None:
        value = pulumi.Output.secret("the combination of the safe")
        parameter = pulumi_aws.ssm.Parameter("safe", name="/safe", type="SecureString", value=value)
        pulumi.export("combination", parameter.value)

    monkeypatch.setattr(automation, "_program", program)
    engine = cloud.engine("dev")
    for step in (engine.up, engine.refresh, engine.up):
        step()
        stored = cloud.aws.client("ssm").get_parameter(Name="/safe", WithDecryption=True)["Parameter"]["Value"]
        assert stored == "the combination of the safe"
        assert "the combination of the safe" not in _files(engine.state)
    assert engine.outputs()["combination"] == "the combination of the safe"
    cloud.aws.client("ssm").put_parameter(
        Name="/safe", Value="another combination", Type="SecureString", Overwrite=True
    )
    engine.refresh()
    assert "another combination" in engine.decrypted_state()
    assert "another combination" not in _files(engine.state)


@pytest.mark.defect("A-08")
def test_the_stripe_keys_never_enter_the_state_and_no_later_release_replaces_them(
    cloud: PulumiCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = cloud.engine("dev")
    engine.up()
    keys = [
        credentials.STRIPE_API_KEY,
        credentials.REPORTING_KEY,
        credentials.PUBLISHABLE_KEY,
        credentials.WEBHOOK_SECRET,
    ]
    names = ("secret_key", "reporting_key", "publishable_key", "webhook_secret")
    for name, key in zip(names, keys, strict=True):
        cloud.aws.client("ssm").put_parameter(
            Name=f"/booking/dev/stripe/{name}", Value=key, Type="SecureString", Overwrite=True
        )
    engine.refresh()
    assert engine.up().keys() == {"same"}
    monkeypatch.setattr("infra.stripe_keys.PLACEHOLDER", "what a later release begins with")
    assert engine.up().keys() == {"same"}
    state = _files(engine.state) + engine.decrypted_state()
    assert "/booking/dev/stripe/secret_key" in state
    assert [key for key in keys if key in state] == []
    stored = cloud.aws.client("ssm").get_parameter(Name="/booking/dev/stripe/secret_key", WithDecryption=True)
    assert stored["Parameter"]["Value"] == credentials.STRIPE_API_KEY


def _files(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
