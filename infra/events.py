"""What happens by itself: on a schedule, and when an execution dies."""

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from infra.function import Function
from infra.grants import allow, policy, trust
from infra.workflow import Workflow

# What EventBridge could not deliver for this long the next run of the schedule finds.
_RETRY = aws.cloudwatch.EventTargetRetryPolicyArgs(maximum_event_age_in_seconds=900, maximum_retry_attempts=5)


def run_every(minutes: int, function: Function, *, prefix: str, retry_for_seconds: int) -> None:
    """Invokes `function` on a schedule; one that cannot be invoked is tried again until the next is due."""
    name = function.short_name
    role = aws.iam.Role(f"{name}-schedule", name=f"{prefix}-{name}-schedule", assume_role_policy=trust("scheduler"))
    permissions = aws.iam.RolePolicy(
        f"{name}-schedule",
        name=f"{prefix}-{name}-schedule",
        role=role.name,
        policy=policy([allow("lambda:InvokeFunction", on=[function.live_arn])]),
    )
    aws.scheduler.Schedule(
        name,
        name=f"{prefix}-{name}",
        schedule_expression=f"rate({minutes} minute{'' if minutes == 1 else 's'})",
        flexible_time_window={"mode": "OFF"},
        target={
            "arn": function.live_arn,
            "role_arn": role.arn,
            "input": json.dumps({"source": "schedule"}),
            "retry_policy": {"maximum_event_age_in_seconds": retry_for_seconds, "maximum_retry_attempts": 5},
        },
        opts=pulumi.ResourceOptions(depends_on=[permissions]),
    )


class ExecutionsDied(pulumi.ComponentResource):
    """Tells `reconciler` and the operators of each execution that ended as FAILED, TIMED_OUT or ABORTED."""

    rule_arn: pulumi.Output[str]

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
        super().__init__("booking:infra:ExecutionsDied", name)
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
            # Names and status alone: the event also holds the execution's input and output.
            input_transformer={
                "input_paths": {
                    "name": "$.detail.name",
                    "status": "$.detail.status",
                    "machine": "$.detail.stateMachineArn",
                    "execution": "$.detail.executionArn",
                },
                "input_template": json.dumps(
                    "ExecutionDied: <name> of <machine> is <status>. The reconciler starts its replacement, three times"
                    f" at most. {console_url}<execution>"
                ),
            },
            retry_policy=_RETRY,
            opts=inside,
        )
        self.rule_arn = rule.arn
        self.register_outputs({"rule_arn": self.rule_arn})


def publishers(topic_arn: pulumi.Input[str], services: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """The topic's policy: AWS services that publish, each on behalf of one ARN (or pattern of ARNs), and TLS only.

    Roles of the account need no mention here: their own policies let them publish.
    """
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                *[
                    {
                        "Sid": service.title(),
                        "Effect": "Allow",
                        "Principal": {"Service": f"{service}.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": topic_arn,
                        "Condition": {"ArnLike": {"aws:SourceArn": source}},
                    }
                    for service, source in services.items()
                ],
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": topic_arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }
    )
