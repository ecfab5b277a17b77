"""`python -m scripts.check_resources` finds each fault that is planted here into one resource of the stack `prod`."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.pulumi.resources.registry import RESOURCE_TYPES
from local.pulumi.resources.resource_type import Resource
from scripts import aws_policies, check_resources
from scripts.service_calls import CALLS
from scripts.service_inputs import InputChecks
from tests.infra.conftest import Deploy
from tests.infra.worker import Seen

TOPIC = "arn:aws:sns:eu-west-1:123456789012:booking-prod-operators"
TABLES = "arn:aws:dynamodb:eu-west-1:123456789012:table"


@pytest.fixture(scope="module")
def prod(deploy: Deploy) -> Seen:
    return deploy(
        name="prod", package="false", frontendUrl="https://booking.example.com", **check_resources.STACKS["prod"]
    )


def problems_of(resource: Resource) -> list[str]:
    return list(check_resources.problems([resource], InputChecks()))


def find(stack: Seen, name: str) -> Resource:
    """Find a resource by the end of its type and its name, such as `Function payments-api`."""
    type_, _, label = name.partition(" ")
    (found,) = (
        one for one in stack.deployment.resources if one.type.endswith(f":{type_}") and (one.name == label or not label)
    )
    return found


def put(inputs: Any, path: str, value: Any) -> Any:
    """Return a copy in which the value at a path such as `target.retryPolicy` is another one."""
    first, _, rest = path.partition(".")
    if isinstance(inputs, list):
        return [put(inputs[0], path, value), *inputs[1:]]
    return {**inputs, first: put(inputs[first], rest, value) if rest else value}


def policy_on(tables: int) -> str:
    arns = [f"{TABLES}/booking-prod-{number:010}" for number in range(tables)]
    statement = {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": arns}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("name", "path", "value", "problem"),
    [
        # Patterns and lengths.
        ("MethodSettings post-payments-id-cancel", "methodPath", "payments/{id}/cancel/POST", "methodPath: "),
        ("Function payments-api", "name", "f" * 65, "name: "),
        ("Function payments-api", "handler", "payments api.handler", "Handler: 'payments api.handler' does not match"),
        ("Role payments-api", "name", "r" * 65, "RoleName: 'rrr"),
        ("RolePolicy payments-api", "name", "all of it", "PolicyName: 'all of it' does not match"),
        ("EventRule", "name", "executions that died", "Name: 'executions that died' does not match"),
        ("EventTarget executions-died-operators", "targetId", "the operators", "Targets[0].Id: 'the operators'"),
        ("EventTarget executions-died-operators", "retryPolicy.maximumEventAgeInSeconds", 30, "valid min value: 60"),
        ("LogGroup payments-api", "name", "/aws/lambda/the api", "logGroupName: '/aws/lambda/the api'"),
        ("LogGroup payments-api", "retentionInDays", 91, "retentionInDays: 91"),
        ("MetricAlarm ApiFailing", "dimensions", {f"d{n}": "x" for n in range(31)}, "Dimensions: "),
        ("MetricAlarm ApiFailing", "alarmDescription", "d" * 1025, "AlarmDescription: "),
        ("MetricAlarm RefundFailed", "metricQueries.metric.period", 0, "MetricStat.Period, value: 0"),
        ("StateMachine payment", "name", "s" * 81, "name: 'sss"),
        ("StateMachine payment", "encryptionConfiguration.kmsDataKeyReusePeriodSeconds", 30, "valid min value: 60"),
        ("Schedule", "scheduleExpression", "rate(15 minute)", "scheduleExpression: "),
        ("Schedule", "target.roleArn", "booking-prod-reconciler", "Target.RoleArn: 'booking-prod-reconciler'"),
        ("UserPool", "schemas.name", "customer_identifier_2", "Schema[0].Name: "),
        ("Key", "deletionWindowInDays", 31, "deletionWindowInDays: 31"),
        ("Topic", "name", "operators!", "name: 'operators!'"),
        ("Parameter secret-key", "name", "/aws/stripe", "name: '/aws/stripe'"),
        # One of several values.
        ("Function payments-api", "runtime", "python3.31", "Runtime: 'python3.31' is none of"),
        ("Function payments-api", "tracingConfig.mode", "On", "TracingConfig.Mode: 'On' is none of"),
        ("MetricAlarm ApiFailing", "comparisonOperator", "GreaterThan", "ComparisonOperator: 'GreaterThan' is none of"),
        ("Table payments", "globalSecondaryIndexes.projectionType", "KEYS", "Projection.ProjectionType: 'KEYS'"),
        ("Table payments", "globalSecondaryIndexes.keySchemas.keyType", "SORT", "KeySchema[0].KeyType: 'SORT'"),
        ("Parameter secret-key", "type", "SecretString", "Type: 'SecretString' is none of"),
        ("RestApi", "endpointConfiguration.types", "LOCAL", "endpointConfiguration.types[0]: 'LOCAL' is none of"),
        ("RestApi", "putRestApiMode", "replace", "putRestApiMode: 'replace' is none of"),
        ("UserPoolClient", "explicitAuthFlows", ["ALLOW_ANY"], "ExplicitAuthFlows[0]: 'ALLOW_ANY' is none of"),
        # Types, and properties that are required or that nobody knows.
        ("Function payments-api", "memorySize", "1024", "Invalid type for parameter MemorySize"),
        ("StateMachine payment", "loggingConfiguration.detail", "ALL", "what loggingConfiguration.detail becomes"),
        ("Schedule", "target", {"arn": TOPIC}, 'Missing required parameter in Target: "RoleArn"'),
        ("Table payments", "ttl", {"enabled": True}, 'Missing required parameter in ttl: "AttributeName"'),
        ("EventBus", "retention", 1, "does not say what retention becomes in CreateEventBus"),
        # Sizes.
        ("Function payments-api", "environment.variables.URLS", "u" * 4_000, "environment: "),
        ("RolePolicy payments-api", "policy", policy_on(200), "the inline policies of its"),
        ("Parameter secret-key", "valueWo", "v" * 4_097, "valueWo: 4097 is over 4096"),
        ("EventRule", "eventPattern", json.dumps({"source": ["s" * 2_048]}), "eventPattern: "),
    ],
)
def test_a_wrong_property_is_found(prod: Seen, name: str, path: str, value: object, problem: str) -> None:
    right = find(prod, name)
    assert [found for found in problems_of(right) if problem in found] == []
    wrong = replace(right, inputs=put(right.inputs, path, value))
    assert [found for found in problems_of(wrong) if problem in found]


def statement(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda original: original | changes


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("RolePolicy payments-api", statement(Action=["logs:PutLogLines"]), "UNKNOWN_ACTION"),
        ("RolePolicy payments-api", statement(Resource=[TOPIC]), "RESOURCE_MISMATCH"),
        (
            "RolePolicy payments-api",
            statement(Condition={"StringEquals": {"states:StateMachineQualifier": "live"}}),
            "UNKNOWN_CONDITION_FOR_ACTION",
        ),
        ("RolePolicy payments-api", statement(Condition={"StringIs": {"aws:SourceAccount": "1"}}), "UNKNOWN_OPERATOR"),
        ("RolePolicy payments-api", statement(Effect="Permit"), "cfn-lint E3510"),
        ("Role payments-api", statement(Action="sts:Assume"), "cfn-lint W3037"),
        ("Role payments-api", statement(Resource="*"), "cfn-lint E3530"),
        ("Key", statement(Action="kms:Decipher"), "UNKNOWN_ACTION"),
        ("TopicPolicy", statement(Action="sns:Broadcast"), "UNKNOWN_ACTION"),
        (
            "TopicPolicy",
            statement(
                Principal={"Service": "events.amazonaws.com"},
                Condition={"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/*"}},
            ),
            "EventBridge cannot publish under the condition",
        ),
    ],
)
def test_a_wrong_policy_is_found(
    prod: Seen, name: str, change: Callable[[dict[str, Any]], dict[str, Any]], problem: str
) -> None:
    right = find(prod, name)
    assert [found for found in problems_of(right) if problem in found] == []
    property_ = "assumeRolePolicy" if name.startswith("Role ") else "policy"
    policy = json.loads(right.inputs[property_])
    policy["Statement"][0] = change(policy["Statement"][0])
    wrong = replace(right, inputs=right.inputs | {property_: json.dumps(policy)})
    assert [found for found in problems_of(wrong) if problem in found]


def test_every_type_of_resource_is_checked() -> None:
    assert CALLS.keys() == RESOURCE_TYPES.keys()


def test_each_exception_is_still_needed(prod: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = list(aws_policies.ACCEPTED)
    monkeypatch.setattr(aws_policies, "ACCEPTED", {})
    reported = [(one.type, problem) for one, problem in aws_policies.policy_problems(prod.deployment.resources)]
    for type_, message in accepted:
        assert any(of == type_ and message in problem for of, problem in reported)
