"""The stack's own key for tables, bucket, topic, logs and executions, if the configuration asks for one."""

from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.grants import Grant, allow


@dataclass(frozen=True)
class Encryption:
    """`key_arn` is None if AWS's own keys are used; `grants` are what every role needs to use ours."""

    key_arn: pulumi.Output[str] | None = None
    grants: list[Grant] = field(default_factory=list)
    region: str = ""
    account: str = ""

    def of_executions(self, machine: str) -> list[Grant]:
        """Return what the role of the state machine `machine` needs in addition.

        The data of its executions and its log are encrypted with the role itself, not through a service (Step Functions
        developer guide, "Data at rest encryption").
        """
        if self.key_arn is None:
            return []
        here = f"{self.region}:{self.account}"
        context = "kms:EncryptionContext"
        data = {
            "StringEquals": {f"{context}:aws:states:stateMachineArn": f"arn:aws:states:{here}:stateMachine:{machine}"}
        }
        log = {"StringLike": {f"{context}:SourceArn": f"arn:aws:logs:{here}:*"}}
        return [
            allow("kms:Decrypt", "kms:GenerateDataKey", on=[self.key_arn], when=data),
            allow("kms:GenerateDataKey", on=[self.key_arn], when=log),
        ]

    @property
    def of_state_machines(self) -> Any:
        if self.key_arn is None:
            return None
        return {
            "type": "CUSTOMER_MANAGED_KMS_KEY",
            "kms_key_id": self.key_arn,
            "kms_data_key_reuse_period_seconds": 300,
        }


def own_key(*, prefix: str, region: str, account: str, protect: bool) -> Encryption:
    """Create the key `alias/{prefix}`, rotated yearly, for this account's roles and the named services only."""

    def service(sid: str, name: str, actions: list[str], condition: dict[str, Any] | None) -> dict[str, Any]:
        statement = {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": f"{name}.amazonaws.com"},
            "Action": actions,
            "Resource": "*",  # in the policy of a key, this is the key
        }
        return statement if condition is None else {**statement, "Condition": condition}

    publish = ["kms:Decrypt", "kms:GenerateDataKey"]
    logs = f"arn:aws:logs:{region}:{account}"
    statements = [
        {
            "Sid": "AccountDecidesByRoles",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        service(
            "Logs",
            f"logs.{region}",
            ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"{logs}:log-group:/aws/*/{prefix}-*"}},
        ),
        service(
            "LogsOfStateMachines",
            "delivery.logs",
            ["kms:Decrypt"],
            {"StringLike": {"kms:EncryptionContext:SourceArn": f"{logs}:*"}},
        ),
        # The topic is encrypted, so whoever publishes to it has to use the key.
        service("Alarms", "cloudwatch", publish, {"StringEquals": {"aws:SourceAccount": account}}),
        # EventBridge does not support conditions here: with one, it drops every message.
        service("Rules", "events", publish, None),
    ]
    key = aws.kms.Key(
        "data",
        description=f"{prefix}: tables, bucket, topic, logs, executions",
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements}),
        opts=pulumi.ResourceOptions(protect=protect),
    )
    aws.kms.Alias("data", name=f"alias/{prefix}", target_key_id=key.key_id)
    # Tables and the bucket for readers and writers, the topic for publishers, state machines for whoever starts or
    # resumes executions.
    use = use_key(key.arn, region, "dynamodb", "s3", "sns", "states")
    return Encryption(key.arn, [use], region, account)


def use_key(key_arn: pulumi.Input[str], region: str, *services: str) -> Grant:
    """Return what a role needs to use, through these services, what is encrypted with a key."""
    return allow(
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:DescribeKey",
        on=[key_arn],
        when={"StringEquals": {"kms:ViaService": [f"{name}.{region}.amazonaws.com" for name in services]}},
    )
