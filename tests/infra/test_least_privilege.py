"""Each role may do what its function or state machine does, and nothing else.

Scenarios that make every call run on the local stack, which records what each role called. The result is also the page
docs/permissions.md: `make permissions`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.aws.iam import Call, Permission, Permissions
from shared.adapters import secrets
from tests.harness.running_stack import run_stack
from tests.infra.permission_scenarios import play_all

pytestmark = pytest.mark.defect("D-45")

REPORT = Path(__file__).parents[2] / "docs" / "permissions.md"

# Permissions that none of our calls needs, by action.
EXCEPTIONS = {
    "logs:CreateLogStream": "Lambda's runtime writes what the function prints",
    "logs:PutLogEvents": "Lambda's runtime writes what the function prints",
    "logs:CreateLogDelivery": "Step Functions delivers a state machine's log",
    "logs:GetLogDelivery": "Step Functions delivers a state machine's log",
    "logs:UpdateLogDelivery": "Step Functions delivers a state machine's log",
    "logs:DeleteLogDelivery": "Step Functions delivers a state machine's log",
    "logs:ListLogDeliveries": "Step Functions delivers a state machine's log",
    "logs:PutResourcePolicy": "Step Functions delivers a state machine's log",
    "logs:DescribeResourcePolicies": "Step Functions delivers a state machine's log",
    "logs:DescribeLogGroups": "Step Functions delivers a state machine's log",
    "xray:PutTraceSegments": "the function's X-Ray daemon and Step Functions send traces",
    "xray:GetSamplingRules": "the function's X-Ray daemon and Step Functions ask what to trace",
    "xray:GetSamplingTargets": "the function's X-Ray daemon and Step Functions ask what to trace",
    "xray:PutTelemetryRecords": "the function's X-Ray daemon and Step Functions send traces",
}
# What roles may also do in production with the stack's own key. moto's services use no key.
WITH_A_KEY = (
    ("`kms:Decrypt`", "DynamoDB, SNS and Step Functions read data on behalf of the caller"),
    ("`kms:GenerateDataKey`", "DynamoDB, SNS and Step Functions write data on behalf of the caller"),
    ("`kms:Encrypt`", "DynamoDB writes data on behalf of the caller"),
    ("`kms:DescribeKey`", "DynamoDB checks the state of the key on behalf of the caller"),
    ("`kms:Decrypt`, state machines", "Step Functions reads the data of executions with the role itself"),
    ("`kms:GenerateDataKey`, state machines", "Step Functions writes the data of executions with the role itself"),
    ("`kms:GenerateDataKey`, state machines", "Step Functions delivers its log with the role itself"),
)
# EventBridge Scheduler, which assumes these roles, does not run on this machine.
SCHEDULES = {f"booking-local-{name}-schedule" for name in ("reconcile-payments", "reconcile-ledger")}


@pytest.fixture(scope="module")
def permissions() -> Iterator[Permissions]:
    """Every role with its policy and the calls that it made in all scenarios."""
    with run_stack(nights=1, seed=1) as stack, pytest.MonkeyPatch.context() as patch:
        # On AWS each function caches secrets for itself. Here one function would find what another has read.
        patch.setattr(secrets, "MAX_AGE", 0)
        play_all(stack)
        yield stack.local.permissions


def missing_permissions(policy: Mapping[str, Any], calls: set[Call]) -> list[Call]:
    """Return the calls that the policy does not allow."""
    allowed = listed(policy)
    return [call for call in calls if not any(permission.allows(call) for permission in allowed)]


def unused_permissions(policy: Mapping[str, Any], calls: set[Call]) -> list[Permission]:
    return [
        permission
        for permission in listed(policy)
        if permission.action not in EXCEPTIONS and not any(permission.allows(call) for call in calls)
    ]


def listed(policy: Mapping[str, Any]) -> list[Permission]:
    return list(Permissions.listed(policy))


def roles(permissions: Permissions) -> Iterator[tuple[str, dict[str, Any], set[Call]]]:
    for role, policy in permissions.policies.items():
        if role not in SCHEDULES:
            yield role, json.loads(policy), permissions.calls[role]


def statement(permission: Permission) -> dict[str, Any]:
    allow = {"Effect": "Allow", "Action": [permission.action], "Resource": [permission.resource]}
    return allow if permission.condition is None else {**allow, "Condition": json.loads(permission.condition)}


def test_every_call_is_permitted(permissions: Permissions) -> None:
    found = {role: missing_permissions(policy, calls) for role, policy, calls in roles(permissions)}
    assert {role: missing for role, missing in found.items() if missing} == {}


def test_every_permission_is_used(permissions: Permissions) -> None:
    found = {role: unused_permissions(policy, calls) for role, policy, calls in roles(permissions)}
    assert {role: unused for role, unused in found.items() if unused} == {}


def test_each_permission_that_is_removed_is_found_missing(permissions: Permissions) -> None:
    for role, policy, calls in roles(permissions):
        for removed in listed(policy):
            if removed.action not in EXCEPTIONS:
                left = {"Statement": [statement(one) for one in listed(policy) if one != removed]}
                assert missing_permissions(left, calls), f"{role}: no call misses {removed}"


def test_each_permission_that_is_added_is_found_unused(permissions: Permissions) -> None:
    everything = {permission for _, policy, _ in roles(permissions) for permission in listed(policy)}
    everything.add(
        Permission("dynamodb:DeleteItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/booking-local-payments")
    )
    for role, policy, calls in roles(permissions):
        own = listed(policy)
        for added in everything:
            if added not in own and added.action not in EXCEPTIONS:
                more = {"Statement": [*policy["Statement"], statement(added)]}
                assert added in unused_permissions(more, calls), f"{role}: {added} is not found"


def test_only_the_exceptions_that_are_needed_are_listed(permissions: Permissions) -> None:
    given = {permission.action for _, policy, _ in roles(permissions) for permission in listed(policy)}
    assert EXCEPTIONS.keys() <= given


@pytest.mark.parametrize("role", sorted(SCHEDULES))
def test_the_scheduler_may_run_a_reconciler_and_nothing_else(permissions: Permissions, role: str) -> None:
    (only,) = listed(json.loads(permissions.policies[role]))
    assert only.action == "lambda:InvokeFunction"
    assert only.resource.endswith(f":function:{role.removesuffix('-schedule')}:live")


@pytest.mark.parametrize("action", ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLDelete"])
def test_no_role_may_change_an_entry_of_the_audit_trail(permissions: Permissions, action: str) -> None:
    """A new entry never takes the place of another: its condition refuses that."""
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/booking-local-audit"
    writers = 0
    for role, policy, _ in roles(permissions):
        allowed = {of.action for of in listed(policy) if of.resource == table}
        assert allowed <= {"dynamodb:PutItem", "dynamodb:Query"}, role
        writers += "dynamodb:PutItem" in allowed
        assert missing_permissions(policy, {Call(f"dynamodb.{action}", f"dynamodb:{action}", table)}), role
    assert writers == 12


# The page.


def report(permissions: Permissions) -> str:
    lines = [
        "# Permissions",
        "",
        "Every permission of the stack `local`, with the API calls that needed it in the scenarios of",
        "tests/infra/permission_scenarios.py. `make permissions` writes this page. tests/infra/test_least_privilege.py",
        "fails for a permission without a call and for a call without a permission, as moto's IAM evaluator decides.",
        "Whenever the local stack runs, it refuses what a role does not allow, as AWS does.",
        "",
        "None of our calls needs these:",
        "",
        *[f"- `{action}`: {reason}" for action, reason in EXCEPTIONS.items()],
        *(f"- the role `{role}`: EventBridge Scheduler assumes it to run the function" for role in sorted(SCHEDULES)),
        "",
        "If the stack has its own key (`customerManagedKey`, which `prod` sets), the role of every function and state",
        "machine may use that key under the conditions in infra/encryption.py, without a call of ours:",
        "",
        *[f"- {what}: {reason}" for what, reason in WITH_A_KEY],
        "",
        "Otherwise the roles of `prod` and `dev` do not differ (tests/infra/test_environments.py).",
    ]
    for role, policy, calls in sorted(roles(permissions), key=lambda of: of[0]):
        lines += ["", f"## {role}", "", "| action | resource | needed by |", "|---|---|---|"]
        for permission in sorted(listed(policy), key=lambda of: (of.action, of.resource)):
            if permission.action in EXCEPTIONS:
                continue
            needed_by = ", ".join(sorted({call.operation for call in calls if permission.allows(call)}))
            resource = permission.resource.removeprefix("arn:aws:")
            alias = " through the alias" if permission.condition else ""
            lines.append(f"| {permission.action} | `{resource}`{alias} | {needed_by} |")
    return "\n".join(lines) + "\n"


def test_the_page_of_permissions_is_up_to_date(permissions: Permissions) -> None:
    written = report(permissions)
    if os.environ.get("WRITE_REPORT"):
        REPORT.write_text(written)
    assert written == REPORT.read_text(), "run: make permissions"
