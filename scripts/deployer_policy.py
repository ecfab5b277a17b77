"""Writes docs/deployer-policy.json, what the role that runs `pulumi up` may do: `python -m scripts.deployer_policy`.

The actions are those of pulumi-aws for each type of resource in the program, by service. Resources are limited to the
names that all stacks share, `booking-…`; where AWS gives a resource an id of its own, to its service or its tag.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "docs" / "deployer-policy.json"

_TAGS = ("TagResource", "UntagResource", "ListTags*")
_OURS = {"StringEquals": {"aws:ResourceTag/project": "booking-payments"}}

# By the statement's name: the service, its actions, its resources after `arn:aws:{service}:*:*:`, or `*`.
_STATEMENTS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "Api": (
        "apigateway",
        ("DELETE", "GET", "PATCH", "POST", "PUT", "SetWebACL"),
        ("/account", "/domainnames", "/domainnames/*", "/restapis", "/restapis/*", "/tags/*"),
    ),
    # `pulumi destroy` empties the bucket of a stack that is not for production.
    "Buckets": (
        "s3",
        (
            "CreateBucket",
            "DeleteObject",
            "DeleteObjectVersion",
            "ListBucketVersions",
            "DeleteBucket",
            "DeleteBucketPolicy",
            "GetAccelerateConfiguration",
            "GetBucket*",
            "GetEncryptionConfiguration",
            "GetLifecycleConfiguration",
            "GetReplicationConfiguration",
            "ListBucket",
            "PutBucketPolicy",
            "PutBucketPublicAccessBlock",
            "PutBucketTagging",
            "PutBucketVersioning",
            "PutEncryptionConfiguration",
            "PutLifecycleConfiguration",
        ),
        ("booking-*", "booking-*/*"),
    ),
    "Alarms": (
        "cloudwatch",
        (
            "DeleteAlarms",
            "DescribeAlarms",
            "DeleteDashboards",
            "GetDashboard",
            "PutDashboard",
            "PutMetricAlarm",
            *_TAGS,
        ),
        ("alarm:booking-*", "dashboard/booking-*"),
    ),
    "GuestsCreated": ("cognito-idp", ("CreateUserPool", "DescribeUserPoolDomain"), ("*",)),
    "Guests": (
        "cognito-idp",
        ("*Group", "*UserPool", "*UserPoolClient", "*UserPoolDomain", "*UserPoolMfaConfig", *_TAGS),
        ("userpool/*",),
    ),
    "Tables": (
        "dynamodb",
        (
            "CreateTable",
            "DeleteTable",
            "Describe*",
            "UpdateContinuousBackups",
            "UpdateTable",
            "UpdateTimeToLive",
            *_TAGS,
        ),
        ("table/booking-*",),
    ),
    # The booking platform's tables may have any name.
    "TablesRead": (
        "dynamodb",
        ("DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "ListTags*"),
        ("table/*",),
    ),
    "Events": (
        "events",
        ("*EventBus", "*Rule", "*Targets", "ListTargetsByRule", *_TAGS),
        ("event-bus/booking-*", "rule/booking-*"),
    ),
    "Roles": (
        "iam",
        (
            "CreateRole",
            "DeleteRole",
            "GetRole",
            "*RolePolicy",
            "ListAttachedRolePolicies",
            "ListInstanceProfilesForRole",
            "ListRolePolicies",
            "TagRole",
            "UntagRole",
            "UpdateAssumeRolePolicy",
            "UpdateRole",
        ),
        ("role/booking-*",),
    ),
    "Functions": (
        "lambda",
        ("Add*", "Create*", "Delete*", "Get*", "List*", "Publish*", "Put*", "Remove*", "Update*", *_TAGS[:2]),
        ("function:booking-*", "layer:booking-*"),
    ),
    "Logs": ("logs", ("*KmsKey", "*LogGroup", "*RetentionPolicy", *_TAGS), ("log-group:/aws/*/booking-*",)),
    "LogsListed": ("logs", ("DescribeLogGroups", "*QueryDefinition*"), ("*",)),
    "Schedules": ("scheduler", ("*Schedule",), ("schedule/default/booking-*",)),
    "Topics": ("sns", ("*Topic", "*TopicAttributes", "Subscribe", *_TAGS), ("booking-*",)),
    "Subscriptions": ("sns", ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"), ("*",)),
    "Parameters": (
        "ssm",
        (
            "DeleteParameter",
            "GetParameter*",
            "PutParameter",
            "AddTagsToResource",
            "ListTags*",
            "RemoveTagsFromResource",
        ),
        ("parameter/booking/*",),
    ),
    "ParametersListed": ("ssm", ("DescribeParameters",), ("*",)),
    "Workflows": (
        "states",
        (
            "*StateMachine",
            "*StateMachineAlias",
            "*StateMachineVersion",
            "Describe*",
            "List*",
            "StopExecution",
            *_TAGS[:2],
        ),
        ("stateMachine:booking-*", "execution:booking-*"),
    ),
    # `pulumi preview` validates both definitions.
    "WorkflowsValidated": ("states", ("ValidateStateMachineDefinition",), ("*",)),
    "Firewall": ("wafv2", ("*WebACL", "GetWebACLForResource"), ("regional/webacl/*",)),
}
_SPECIAL = [
    {
        "Sid": "RolesPassed",
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": "arn:aws:iam::*:role/booking-*",
        "Condition": {
            "StringEquals": {
                "iam:PassedToService": [
                    f"{service}.amazonaws.com" for service in ("apigateway", "lambda", "scheduler", "states")
                ]
            }
        },
    },
    {
        "Sid": "DomainsOfApiGateway",
        "Effect": "Allow",
        "Action": "iam:CreateServiceLinkedRole",
        "Resource": "arn:aws:iam::*:role/aws-service-role/ops.apigateway.amazonaws.com/*",
    },
    {"Sid": "KeysCreated", "Effect": "Allow", "Action": ["kms:CreateKey", "kms:ListAliases"], "Resource": "*"},
    {"Sid": "KeyNames", "Effect": "Allow", "Action": "kms:*Alias", "Resource": "arn:aws:kms:*:*:alias/booking-*"},
    # Creating what is encrypted with the key uses it.
    {"Sid": "Keys", "Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:*:*:key/*", "Condition": _OURS},
]


def policy() -> dict[str, Any]:
    statements = [
        {
            "Sid": name,
            "Effect": "Allow",
            "Action": sorted(f"{service}:{action}" for action in actions),
            "Resource": [_arn(service, resource) for resource in resources],
        }
        for name, (service, actions, resources) in _STATEMENTS.items()
    ]
    return {"Version": "2012-10-17", "Statement": [*statements, *_SPECIAL]}


def _arn(service: str, resource: str) -> str:
    if resource == "*":
        return resource
    account = {"apigateway": "*:", "iam": ":*", "s3": ":"}.get(service, "*:*")
    return f"arn:aws:{service}:{account}:{resource}"


def page() -> str:
    return json.dumps(policy(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
