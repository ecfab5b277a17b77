"""The stacks `dev` and `prod`, from Pulumi.dev.yaml and Pulumi.prod.yaml."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from tests.infra.conftest import Deploy
from tests.infra.deployed import ROOT, inputs
from tests.infra.worker import Seen

WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/guests/0a1b2c3d"
DOMAIN = {
    "domainName": "payments.example.com",
    "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d",
}
BUCKET_ENCRYPTION = "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
STATEFUL = {
    ("Table", "payments"),
    ("Table", "audit"),
    ("Table", "stripe-webhook-events"),
    ("Table", "reservations"),
    ("Table", "availability"),
    ("Bucket", "ledger"),
    ("UserPool", "guests"),
    ("Parameter", "secret-key"),
    ("Parameter", "publishable-key"),
    ("Parameter", "reporting-key"),
    ("Parameter", "webhook-secret"),
    ("Key", "data"),
}


@pytest.fixture(scope="module")
def dev(deploy: Deploy) -> Seen:
    return deploy(name="dev", package="false", frontendUrl="https://dev.example.com")


@pytest.fixture(scope="module")
def prod(deploy: Deploy) -> Seen:
    config = {"frontendUrl": "https://booking.example.com", "operatorEmail": "operators@example.com"}
    return deploy(name="prod", package="false", webAclArn=WEB_ACL, **config)


def types(seen: Seen) -> Counter[str]:
    return Counter(resource.type.rpartition(":")[2] for resource in seen.deployment.resources)


def protected(seen: Seen) -> set[tuple[str, str]]:
    return {(r.type.rpartition(":")[2], r.name) for r in seen.deployment.resources if r.options.protect}


def test_production_differs_from_dev_by_a_key_a_web_acl_and_a_subscription(dev: Seen, prod: Seen, stack: Seen) -> None:
    assert types(dev) == types(stack)
    assert types(prod) - types(dev) == {"Key": 1, "Alias": 1, "WebAclAssociation": 1, "TopicSubscription": 1}
    assert types(dev) - types(prod) == {}
    assert types(dev)["MetricAlarm"] == 51
    assert {r["name"] for r in inputs(prod, "aws:dynamodb/table:Table").values()} == {
        "booking-prod-payments",
        "booking-prod-audit",
        "booking-prod-stripe-webhook-events",
        "booking-prod-reservations",
        "booking-prod-availability",
    }


def test_what_cannot_be_restored_is_protected_in_production(dev: Seen, prod: Seen) -> None:
    assert protected(prod) == STATEFUL
    assert protected(dev) == set()
    for seen, deletion, pool in ((prod, True, "ACTIVE"), (dev, False, "INACTIVE")):
        tables = inputs(seen, "aws:dynamodb/table:Table").values()
        assert {table["deletionProtectionEnabled"] for table in tables} == {deletion}
        assert {table["pointInTimeRecovery"]["enabled"] for table in tables} == {True}
        assert inputs(seen, "aws:cognito/userPool:UserPool")["guests"]["deletionProtection"] == pool


def test_production_is_encrypted_with_its_own_key(dev: Seen, prod: Seen) -> None:
    def keys(seen: Seen) -> list[Any]:
        return [
            *[t["serverSideEncryption"].get("kmsKeyArn") for t in inputs(seen, "aws:dynamodb/table:Table").values()],
            *[t.get("kmsMasterKeyId") for t in inputs(seen, "aws:sns/topic:Topic").values()],
            *[
                rule["applyServerSideEncryptionByDefault"].get("kmsMasterKeyId")
                for bucket in inputs(seen, f"aws:s3/{BUCKET_ENCRYPTION}").values()
                for rule in bucket["rules"]
            ],
            *[g.get("kmsKeyId") for g in inputs(seen, "aws:cloudwatch/logGroup:LogGroup").values()],
            *[
                machine.get("encryptionConfiguration", {}).get("kmsKeyId")
                for machine in inputs(seen, "aws:sfn/stateMachine:StateMachine").values()
            ],
        ]

    (key,) = set(keys(prod))
    assert key.startswith("arn:aws:kms:eu-west-1:123456789012:key/")
    assert len(keys(prod)) == 5 + 1 + 1 + 17 + 2
    assert set(keys(dev)) == {None}
    assert inputs(prod, "aws:kms/key:Key")["data"]["enableKeyRotation"] is True


@pytest.mark.defect("A-03")
def test_the_key_may_be_used_by_the_services_that_need_it_and_by_every_role(prod: Seen) -> None:
    policy = json.loads(inputs(prod, "aws:kms/key:Key")["data"]["policy"])
    services = {s["Principal"]["Service"]: s for s in policy["Statement"] if "Service" in s["Principal"]}
    assert services.keys() == {
        "logs.eu-west-1.amazonaws.com",
        "delivery.logs.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
    }
    # EventBridge does not support conditions.
    assert {name for name, statement in services.items() if "Condition" not in statement} == {"events.amazonaws.com"}
    for name, role in inputs(prod, "aws:iam/rolePolicy:RolePolicy").items():
        using = [s["Condition"] for s in json.loads(role["policy"])["Statement"] if s["Action"][0].startswith("kms:")]
        through = [f"{service}.eu-west-1.amazonaws.com" for service in ("dynamodb", "s3", "sns", "states")]
        every_role = {"StringEquals": {"kms:ViaService": through}}
        if name.endswith("-schedule"):
            assert using == []
        elif name.endswith("-workflow"):
            # Step Functions encrypts the data and the log of executions with the role itself.
            machine = (
                f"arn:aws:states:eu-west-1:123456789012:stateMachine:booking-prod-{name.removesuffix('-workflow')}"
            )
            assert using == [
                every_role,
                {"StringEquals": {"kms:EncryptionContext:aws:states:stateMachineArn": machine}},
                {"StringLike": {"kms:EncryptionContext:SourceArn": "arn:aws:logs:eu-west-1:123456789012:*"}},
            ]
        else:
            assert using == [every_role]


def test_the_policy_of_the_key_names_who_may_use_it_and_for_what(prod: Seen) -> None:
    """The account decides by roles; each service may do what it has to, for this account's resources."""
    key = inputs(prod, "aws:kms/key:Key")["data"]
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 30)
    logs = "arn:aws:logs:eu-west-1:123456789012"
    publish = ["kms:Decrypt", "kms:GenerateDataKey"]
    write = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
    of_logs = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"{logs}:log-group:/aws/*/booking-prod-*"}}
    found = json.loads(key["policy"])["Statement"]
    assert {(one["Effect"], one["Resource"]) for one in found} == {("Allow", "*")}
    assert [(one["Principal"], one["Action"], one.get("Condition")) for one in found] == [
        ({"AWS": "arn:aws:iam::123456789012:root"}, "kms:*", None),
        ({"Service": "logs.eu-west-1.amazonaws.com"}, write, of_logs),
        (
            {"Service": "delivery.logs.amazonaws.com"},
            ["kms:Decrypt"],
            {"StringLike": {"kms:EncryptionContext:SourceArn": f"{logs}:*"}},
        ),
        ({"Service": "cloudwatch.amazonaws.com"}, publish, {"StringEquals": {"aws:SourceAccount": "123456789012"}}),
        ({"Service": "events.amazonaws.com"}, publish, None),
    ]


def statements(seen: Seen, role: str, stack: str) -> list[str]:
    """Return the statements of a role, comparable between stacks."""
    policy = str(inputs(seen, "aws:iam/rolePolicy:RolePolicy")[role]["policy"])
    named = policy.replace(f"booking-{stack}", "booking-*").replace(f"/booking/{stack}/", "/booking/*/")
    return [json.dumps(statement, sort_keys=True) for statement in json.loads(named)["Statement"]]


def test_roles_of_dev_and_prod_differ_only_in_the_documented_use_of_the_key(dev: Seen, prod: Seen) -> None:
    (key,) = {table["serverSideEncryption"]["kmsKeyArn"] for table in inputs(prod, "aws:dynamodb/table:Table").values()}
    documented = re.findall(r"^- `(kms:\w+)`(,.*)?: ", (ROOT / "docs" / "permissions.md").read_text(), re.MULTILINE)
    roles = inputs(dev, "aws:iam/rolePolicy:RolePolicy").keys()
    assert inputs(prod, "aws:iam/rolePolicy:RolePolicy").keys() == roles
    schedules = {role for role in roles if role.endswith("-schedule")}
    for role in roles - schedules:
        of_dev, of_prod = statements(dev, role, "dev"), statements(prod, role, "prod")
        assert [one for one in of_dev if one not in of_prod] == []
        more = [json.loads(one) for one in of_prod if one not in of_dev]
        assert all(statement["Resource"] == [key] for statement in more)
        expected = [action for action, whose in documented if not whose or role.endswith("-workflow")]
        assert sorted(action for statement in more for action in statement["Action"]) == sorted(expected)
    for schedule in schedules:
        assert statements(prod, schedule, "prod") == statements(dev, schedule, "dev")


def test_a_web_acl_protects_the_api_if_one_is_configured(dev: Seen, prod: Seen) -> None:
    (association,) = inputs(prod, "aws:wafv2/webAclAssociation:WebAclAssociation").values()
    assert association["webAclArn"] == WEB_ACL
    assert association["resourceArn"].startswith("arn:aws:apigateway:eu-west-1::/restapis/")
    assert inputs(dev, "aws:wafv2/webAclAssociation:WebAclAssociation") == {}


def test_the_api_is_served_at_its_own_domain_if_one_is_configured(deploy: Deploy, dev: Seen) -> None:
    seen = deploy(name="dev", package="false", frontendUrl="https://dev.example.com", **DOMAIN)
    assert types(seen) - types(dev) == {"DomainName": 1, "BasePathMapping": 1}
    (domain,) = inputs(seen, "aws:apigateway/domainName:DomainName").values()
    assert (domain["domainName"], domain["regionalCertificateArn"]) == (
        "payments.example.com",
        DOMAIN["certificateArn"],
    )
    assert (domain["endpointConfiguration"], domain["securityPolicy"]) == ({"types": "REGIONAL"}, "TLS_1_2")
    (mapping,) = inputs(seen, "aws:apigateway/basePathMapping:BasePathMapping").values()
    assert (mapping["stageName"], mapping.get("basePath")) == ("api", None)
    outputs = seen.deployment.outputs
    assert (outputs["apiUrl"], outputs["webhookUrl"]) == (
        "https://payments.example.com",
        "https://payments.example.com/webhooks/stripe",
    )
    assert outputs["domainTarget"].endswith(".execute-api.eu-west-1.amazonaws.com")
    assert "domainTarget" not in dev.deployment.outputs


@pytest.mark.defect("D-19", "A-01")
def test_each_route_has_its_limit(prod: Seen) -> None:
    limits = {
        one["methodPath"]: (one["settings"]["throttlingRateLimit"], one["settings"]["throttlingBurstLimit"])
        for one in inputs(prod, "aws:apigateway/methodSettings:MethodSettings").values()
    }
    assert limits == {
        "*/*": (100, 200),
        "~1payments~1checkout-session/POST": (50, 100),
        "~1payments~1{id}~1retry/POST": (50, 100),
        "~1payments~1{id}~1cancel/POST": (10, 20),
        "~1payments~1{id}~1refund/POST": (10, 20),
        "~1payments~1{id}~1attempts/POST": (10, 20),
        "~1payments~1{id}~1refunds~1{refund_id}~1resolution/POST": (10, 20),
    }


def test_only_the_front_end_can_read_answers_in_a_browser(prod: Seen) -> None:
    for response in prod.deployment.openapi["x-amazon-apigateway-gateway-responses"].values():
        origin = response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"]
        assert origin == "'https://booking.example.com'"
    assert prod.deployment.environment["FRONTEND_URLS"] == "https://booking.example.com"


def test_logs_are_kept_longer_in_production(dev: Seen, prod: Seen) -> None:
    for seen, days in ((dev, 14), (prod, 90)):
        groups = inputs(seen, "aws:cloudwatch/logGroup:LogGroup").values()
        assert {group["retentionInDays"] for group in groups} == {days}
