"""What AWS refuses, or does in another way than it seems: the program avoids it, and the deployer refuses it."""

import json
import re
from typing import Any

import pytest

from local.pulumi.resources.registry import find_type
from local.pulumi.resources.resource_type import AwsClients, DeployError
from scripts.smoke_checks import CHECKS
from tests.infra.conftest import Deploy
from tests.infra.deployed import ROOT, inputs
from tests.infra.worker import Seen

FRONT_END = {"frontendUrl": "https://booking.example.com", "package": "false"}
PLATFORM_KEY = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"


@pytest.mark.defect("A-01")
@pytest.mark.parametrize(
    "path", ["payments/checkout-session/POST", "/payments/POST", "payments/POST", "~1payments/checkout-session/POST"]
)
def test_method_settings_without_an_escaped_path_are_refused(path: str) -> None:
    with pytest.raises(DeployError, match="each slash of the resource's path must be written ~1"):
        find_type("aws:apigateway/methodSettings:MethodSettings").check(AwsClients(), {"methodPath": path})


@pytest.mark.defect("A-05")
def test_the_first_check_of_a_deployed_stack_resumes_an_execution_and_names_the_one_line_to_change() -> None:
    (line,) = re.findall(r"^resume = .*$", (ROOT / "__main__.py").read_text(), re.MULTILINE)
    fallback = re.sub(r"on=\[.*\]", 'on=["*"]', line)
    assert fallback == 'resume = allow("states:SendTaskSuccess", on=["*"])'
    first = next(iter(CHECKS))
    assert first == "signal"
    assert fallback in CHECKS[first].remedy
    assert f"`{fallback}`" in (ROOT / "docs" / "real-parts.md").read_text()


@pytest.mark.defect("A-06")
def test_what_lets_api_gateway_log_outlives_the_stack(stack: Seen) -> None:
    retained = {r.type.rpartition(":")[2]: r for r in stack.deployment.resources if r.options.retain}
    assert retained.keys() == {"Account", "Role", "RolePolicyAttachment"}
    assert retained["Role"].inputs["name"] == "booking-payments-api-gateway-logs-eu-west-1"


@pytest.mark.defect("A-06")
def test_a_second_stack_does_not_replace_the_role_with_which_api_gateway_logs(deploy: Deploy) -> None:
    with pytest.raises(DeployError, match="role booking-payments-api-gateway-logs-eu-west-1 belongs to another stack"):
        deploy(name="dev", beside="local", **FRONT_END)
    second = deploy(name="dev", beside="local", manageApiGatewayAccount="false", **FRONT_END)
    assert inputs(second, "aws:apigateway/account:Account") == {}


WRITTEN = {"name": "/booking/prod/stripe/secret_key", "type": "SecureString", "valueWo": "none", "valueWoVersion": 1}


@pytest.mark.defect("A-08")
def test_a_change_of_a_parameter_never_empties_its_value(stack: Seen) -> None:
    parameters = stack.deployment.of_type("aws:ssm/parameter:Parameter")
    names = {"secret-key", "reporting-key", "publishable-key", "webhook-secret"}
    assert {parameter.name for parameter in parameters} == names
    for parameter in parameters:
        assert {*parameter.inputs, "description", "keyId", "tier", "allowedPattern", "dataType"} - {
            *parameter.options.ignored,
            "name",  # a parameter of another name is another parameter
            "tags",
        } == set()


@pytest.mark.defect("A-08")
@pytest.mark.parametrize("change", [{"type": "String"}, {"description": "key"}, {"valueWo": "another"}])
def test_a_change_that_would_empty_a_write_only_value_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DeployError, match="would overwrite the value with an empty one"):
        find_type("aws:ssm/parameter:Parameter").update(AwsClients(), "", WRITTEN | change, WRITTEN)


@pytest.mark.defect("A-09")
def test_only_the_platform_creates_guests(stack: Seen) -> None:
    (pool,) = inputs(stack, "aws:cognito/userPool:UserPool").values()
    assert pool["adminCreateUserConfig"] == {"allowAdminCreateUserOnly": True}


@pytest.mark.defect("A-10")
def test_the_deployment_prints_that_the_subscription_must_be_confirmed(deploy: Deploy, stack: Seen) -> None:
    printed = deploy(operatorEmail="operators@example.com").printed
    assert [message for message in printed if message.startswith("operators@example.com must follow the link")]
    assert [message for message in stack.printed if "must follow the link" in message] == []


@pytest.mark.defect("A-11")
def test_services_assume_roles_for_resources_of_this_account_only(stack: Seen) -> None:
    conditions: dict[str, set[str]] = {}
    for role in inputs(stack, "aws:iam/role:Role").values():
        (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
        service = statement["Principal"]["Service"].partition(".")[0]
        conditions.setdefault(service, set()).add(json.dumps(statement.get("Condition")))
    ours = json.dumps({"StringEquals": {"aws:SourceAccount": "123456789012"}})
    # API Gateway is not documented to send the account.
    assert conditions == {"lambda": {ours}, "states": {ours}, "scheduler": {ours}, "apigateway": {"null"}}


@pytest.mark.defect("A-11")
def test_a_role_for_another_account_is_not_trusted() -> None:
    aws = AwsClients()
    condition = {"StringEquals": {"aws:SourceAccount": "210987654321"}}
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Condition": condition}
    policy = json.dumps({"Statement": [statement]})
    find_type("aws:iam/role:Role").check(aws, {"name": "one", "assumeRolePolicy": policy})
    with pytest.raises(DeployError, match="role one does not trust lambda"):
        aws.require_trust("arn:aws:iam::123456789012:role/one", "lambda")


@pytest.mark.defect("A-11")
def test_roles_that_use_the_platforms_tables_may_use_their_key_through_dynamodb(deploy: Deploy) -> None:
    tables = {"reservationsTable": "site-reservations", "availabilityTable": "site-dates"}
    given = deploy(given_tables=("site-reservations", "site-dates"), platformKeyArn=PLATFORM_KEY, **tables)
    using, reading = set(), set()
    for name, role in inputs(given, "aws:iam/rolePolicy:RolePolicy").items():
        for statement in json.loads(role["policy"])["Statement"]:
            if statement["Resource"] == [PLATFORM_KEY]:
                assert statement["Condition"] == {
                    "StringEquals": {"kms:ViaService": ["dynamodb.eu-west-1.amazonaws.com"]}
                }
                using.add(name)
            if "site-" in str(statement["Resource"]):
                reading.add(name)
    assert using == reading
    assert {"payments-api", "reconcile-payments", "confirm-reservation"} < using
    assert "stripe-webhook" not in using
