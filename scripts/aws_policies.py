"""Checks IAM policies with parliament and cfn-lint, and what AWS limits in size."""

import functools
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cfnlint.config import ConfigMixIn
from cfnlint.decode.decode import decode_str
from cfnlint.runner import Runner

from local.aws.aws_account import REGION
from local.pulumi.resources.resource_type import Resource, Values

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it loads its data with pkg_resources, and has invalid escapes
    import parliament

# What parliament reports although it is right, by the type of resource and the beginning of the message, and why.
ACCEPTED = {
    (
        "aws:iam/rolePolicy:RolePolicy",
        "RESOURCE_MISMATCH [{'action': 'states:DescribeExecution', 'required_format': 'arn:*:states:*:*:express:",
    ): "it wants the executions of express workflows too; ours are standard",
    (
        "aws:iam/rolePolicy:RolePolicy",
        "RESOURCE_MISMATCH [{'action': 'states:SendTaskSuccess', 'required_format': '*'}]",
    ): "the service's list of actions has no resource for it, its developer guide has: docs/real-parts.md",
    (
        "aws:kms/key:Key",
        "MISMATCHED_TYPE Type mismatch: ArnLike requires a value of type Arn but given String",
    ): "CloudWatch Logs documents ArnLike for the encryption context of a log group",
    ("aws:kms/key:Key", "RESOURCE_STAR"): "in the policy of a key, this is the key",
}

# The properties that are policies, and what cfn-lint calls their resource.
_POLICIES: Mapping[tuple[str, str], tuple[str, Callable[[Values, Any], Values]]] = {
    ("aws:iam/role:Role", "assumeRolePolicy"): (
        "AWS::IAM::Role",
        lambda _, policy: {"AssumeRolePolicyDocument": policy},
    ),
    ("aws:iam/rolePolicy:RolePolicy", "policy"): (
        "AWS::IAM::RolePolicy",
        lambda inputs, policy: {"RoleName": inputs["role"], "PolicyName": inputs["name"], "PolicyDocument": policy},
    ),
    ("aws:kms/key:Key", "policy"): ("AWS::KMS::Key", lambda _, policy: {"KeyPolicy": policy}),
    ("aws:s3/bucketPolicy:BucketPolicy", "policy"): (
        "AWS::S3::BucketPolicy",
        lambda inputs, policy: {"Bucket": inputs["bucket"], "PolicyDocument": policy},
    ),
    ("aws:sns/topicPolicy:TopicPolicy", "policy"): (
        "AWS::SNS::TopicPolicy",
        lambda inputs, policy: {"Topics": [inputs["arn"]], "PolicyDocument": policy},
    ),
}

# Limits in bytes of one property, of which the services' models know nothing.
_LIMITS = {
    ("aws:cloudwatch/eventRule:EventRule", "eventPattern"): 2_048,
    ("aws:iam/role:Role", "assumeRolePolicy"): 2_048,
    ("aws:kms/key:Key", "policy"): 32_768,
    ("aws:s3/bucketPolicy:BucketPolicy", "policy"): 20_480,
    ("aws:sns/topicPolicy:TopicPolicy", "policy"): 30_720,
    ("aws:ssm/parameter:Parameter", "valueWo"): 4_096,
}
_ENVIRONMENT_LIMIT = 4_096
_INLINE_POLICIES_LIMIT = 10_240  # of all policies of a role, in characters, without white space


def policy_problems(resources: Iterable[Resource]) -> Iterator[tuple[Resource, str]]:
    documents = [
        (resource, resource.inputs[name], cloudformation)
        for resource in resources
        for (type_, name), cloudformation in _POLICIES.items()
        if resource.type == type_
    ]
    template = {
        f"R{number}": {"Type": type_, "Properties": properties(resource.inputs, json.loads(text))}
        for number, (resource, text, (type_, properties)) in enumerate(documents)
    }
    for match in _lint(template):
        yield documents[int(match.path[1][1:])][0], f"cfn-lint {match.rule.id}: {match.message:.200}"
    for resource, text, _ in documents:
        accepted = tuple(message for type_, message in ACCEPTED if type_ == resource.type)
        found = [f"{finding.issue} {finding.detail}" for finding in _findings(resource, text)]
        yield from ((resource, f"parliament {one:.200}") for one in found if not one.startswith(accepted))
        yield from ((resource, problem) for problem in _ignored_statements(resource, json.loads(text)))


def _findings(resource: Resource, policy: str) -> list[Any]:
    if resource.type == "aws:iam/role:Role":
        return []  # parliament does not know trust policies
    return list(parliament.analyze_policy_string(policy).findings)


def _lint(resources: Mapping[str, Values]) -> list[Any]:
    if not resources:
        return []
    template, errors = decode_str(json.dumps({"Resources": resources}))
    return errors or list(_linter().validate_template(template))


@functools.cache
def _linter() -> Runner:
    """Made once: it reads 300 modules of rules."""
    return Runner(ConfigMixIn(regions=[REGION]))


def _ignored_statements(resource: Resource, policy: Mapping[str, Any]) -> Iterator[str]:
    """EventBridge supports no condition in the policy of a topic, nor in that of the key that encrypts it."""
    for statement in policy["Statement"]:
        to_topic = resource.type in {"aws:sns/topicPolicy:TopicPolicy", "aws:kms/key:Key"}
        if to_topic and statement["Principal"] == {"Service": "events.amazonaws.com"} and "Condition" in statement:
            yield f"EventBridge cannot publish under the condition {json.dumps(statement['Condition'])}"


def size_problems(resources: Iterable[Resource]) -> Iterator[tuple[Resource, str]]:
    inline: dict[str, int] = {}
    for resource in resources:
        sizes = [
            (name, len(resource.inputs.get(name, "").encode()), limit)
            for (type_, name), limit in _LIMITS.items()
            if type_ == resource.type
        ]
        if resource.type == "aws:iam/rolePolicy:RolePolicy":
            role = resource.inputs["role"]
            inline[role] = inline.get(role, 0) + len("".join(resource.inputs["policy"].split()))
            sizes.append(("the inline policies of its role", inline[role], _INLINE_POLICIES_LIMIT))
        if resource.type == "aws:lambda/function:Function":
            variables = json.dumps(resource.inputs.get("environment", {}), separators=(",", ":"))
            sizes.append(("environment", len(variables.encode()), _ENVIRONMENT_LIMIT))
        yield from ((resource, f"{what}: {size} is over {limit}") for what, size, limit in sizes if size > limit)
