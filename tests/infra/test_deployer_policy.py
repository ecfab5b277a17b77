"""What the role that runs `pulumi up` may do."""

import json
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from local.pulumi.resources.registry import RESOURCE_TYPES
from scripts import deployer_policy
from scripts.service_calls import CALLS
from tests.harness.tables import in_table
from tests.infra.conftest import Deploy
from tests.infra.worker import Seen

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import parliament

pytestmark = pytest.mark.defect("A-11")

MANAGED_POLICY_LIMIT = 6144  # characters, without white space
# IAM's prefix, where it is not the service's name in boto3.
OTHER_NAMES = {
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
PREFIXES = {"stepfunctions": "states", "lambda_": "lambda"}


def allowed_actions() -> set[str]:
    actions = (statement["Action"] for statement in deployer_policy.policy()["Statement"])
    return {one for listed in actions for one in ([listed] if isinstance(listed, str) else listed)}


def test_the_document_is_up_to_date_and_fits_a_managed_policy() -> None:
    written = deployer_policy.TARGET.read_text(encoding="utf-8")
    assert written == deployer_policy.page(), "run: make docs"
    assert len("".join(written.split())) <= MANAGED_POLICY_LIMIT


def test_every_type_of_resource_can_be_created() -> None:
    for type_ in RESOURCE_TYPES.keys() & CALLS.keys():
        service, operation = CALLS[type_].service, CALLS[type_].operation
        action = OTHER_NAMES.get(operation, f"{PREFIXES.get(service, service)}:{operation}")
        verbs = {"apigateway:POST", "apigateway:PATCH", "apigateway:PUT"}
        may = (
            verbs <= allowed_actions()
            if service == "apigateway"
            else any(fnmatchcase(action, pattern) for pattern in allowed_actions())
        )
        assert may, f"{type_} needs {action}"


@in_table()
def test_a_deployer_reads_no_bookings_and_resumes_no_workflow(action: str) -> None:
    assert [pattern for pattern in allowed_actions() if fnmatchcase(action, pattern)] == []


def test_roles_are_passed_to_the_services_of_the_program_only() -> None:
    (passing,) = [s for s in deployer_policy.policy()["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Resource"] == "arn:aws:iam::*:role/booking-*"
    services = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert services == [f"{name}.amazonaws.com" for name in ("apigateway", "lambda", "scheduler", "states")]
    assert [p for p in allowed_actions() if p != "iam:PassRole" and fnmatchcase("iam:PassRole", p)] == []


def named(seen: Seen) -> Iterator[str]:
    for resource in seen.deployment.resources:
        for key in ("name", "layerName", "dashboardName"):
            if key in resource.inputs and resource.type.split("/")[0] not in {"aws:cognito", "aws:apigateway"}:
                yield str(resource.inputs[key])


def test_every_name_is_within_the_policy(deploy: Deploy) -> None:
    config = {"frontendUrl": "https://booking.example.com", "operatorEmail": "operators@example.com"}
    names = set(named(deploy(name="prod", package="false", **config))) - {"live"}  # an alias is within its function
    prefixes = ("booking-", "/booking/", "/aws/lambda/booking-", "/aws/apigateway/booking-", "alias/booking-")
    assert {name for name in names if not name.startswith((*prefixes, "/aws/vendedlogs/states/booking-"))} == set()


def test_every_action_exists_and_takes_the_resources_it_is_given() -> None:
    """A pattern also matches actions that need other resources; what is named exactly must fit."""
    reported = parliament.analyze_policy_string(json.dumps(deployer_policy.policy())).findings
    # Whoever creates the bucket may set its policy.
    assert {finding.issue for finding in reported} == {"RESOURCE_MISMATCH", "RESOURCE_POLICY_PRIVILEGE_ESCALATION"}
    found = [finding for finding in reported if finding.issue == "RESOURCE_MISMATCH"]
    mismatched: set[Any] = {one["action"] for finding in found for one in finding.detail}
    # They take no resource. Those of KMS are also among the actions on keys of the project, and allowed beside them.
    no_resource = {
        "cognito-idp:CreateUserPool",
        "cognito-idp:DescribeUserPoolDomain",
        "kms:CreateKey",
        "kms:ListAliases",
    }
    assert mismatched & allowed_actions() == no_resource
    assert {
        action for s in deployer_policy.policy()["Statement"] if "*" in s["Resource"] for action in s["Action"]
    } >= no_resource
