"""What runs without a request: the schedules of both reconcilers, and the rule for executions that fail."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.function import Function
from infra.grants import allow, policy, trust
from infra.workflow import Workflow

# After this time the next scheduled run finds what EventBridge could not deliver.
_RETRY = aws.cloudwatch.EventTargetRetryPolicyArgs(maximum_event_age_in_seconds=900, maximum_retry_attempts=5)


def run_every(minutes: int, function: Function, *, prefix: str, account: str) -> None:
    """Invoke `function` on a schedule. An invocation that fails is retried until the next one is due."""
    rate = f"rate({minutes} minute{'' if minutes == 1 else 's'})"
    _run_on(rate, function, retry_seconds=60 * minutes, prefix=prefix, account=account)


def run_every_morning(function: Function, *, prefix: str, account: str) -> None:
    """Invoke `function` each quarter of an hour from 4 to 8 o'clock in UTC: it goes on where it stopped."""
    _run_on("cron(0/15 4-7 * * ? *)", function, retry_seconds=900, prefix=prefix, account=account)


def _run_on(expression: str, function: Function, *, retry_seconds: int, prefix: str, account: str) -> None:
    name = function.short_name
    role = aws.iam.Role(
        f"{name}-schedule", name=f"{prefix}-{name}-schedule", assume_role_policy=trust("scheduler", account=account)
    )
    permissions = aws.iam.RolePolicy(
        f"{name}-schedule",
        name=f"{prefix}-{name}-schedule",
        role=role.name,
        policy=policy([allow("lambda:InvokeFunction", on=[function.live_arn])]),
    )
    aws.scheduler.Schedule(
        name,
        name=f"{prefix}-{name}",
        schedule_expression=expression,
        flexible_time_window={"mode": "OFF"},
        target={
            "arn": function.live_arn,
            "role_arn": role.arn,
            "input": json.dumps({"source": "schedule"}),
            "retry_policy": {"maximum_event_age_in_seconds": retry_seconds, "maximum_retry_attempts": 5},
        },
        opts=pulumi.ResourceOptions(depends_on=[permissions]),
    )


class FailedExecutions(pulumi.ComponentResource):
    """Notifies `reconciler` and the operators of each execution that ended as FAILED, TIMED_OUT or ABORTED."""

    rule: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        workflows: Sequence[Workflow],
        reconciler: Function,
        topic: aws.sns.Topic,
        console_url: str,
    ) -> None:
        super().__init__("booking:infra:FailedExecutions", name)
        inside = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            name,
            name=f"{prefix}-{name}",
            event_pattern=pulumi.Output.json_dumps(
                {
                    "source": ["aws.states"],
                    "detail-type": ["Step Functions Execution Status Change"],
                    "detail": {
                        "stateMachineArn": [workflow.arn for workflow in workflows],
                        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                    },
                }
            ),
            opts=inside,
        )
        permission = aws.lambda_.Permission(
            name,
            action="lambda:InvokeFunction",
            function=reconciler.name,
            qualifier=reconciler.live,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=inside,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-reconciler",
            rule=rule.name,
            target_id="reconciler",
            arn=reconciler.live_arn,
            retry_policy=_RETRY,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        aws.cloudwatch.EventTarget(
            f"{name}-operators",
            rule=rule.name,
            target_id="operators",
            arn=topic.arn,
            # Only names and the status. The event also contains the execution's input and output.
            input_transformer={
                "input_paths": {
                    "name": "$.detail.name",
                    "status": "$.detail.status",
                    "machine": "$.detail.stateMachineArn",
                    "execution": "$.detail.executionArn",
                },
                "input_template": json.dumps(
                    "ExecutionDied: <name> of <machine> is <status>. The reconciler replaces it, at first at once."
                    f" {console_url}<execution>"
                ),
            },
            retry_policy=_RETRY,
            opts=inside,
        )
        self.rule = rule.name
        self.register_outputs({"rule": self.rule})
