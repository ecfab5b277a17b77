"""A state machine with its role and its log group."""

from collections.abc import Iterable, Mapping, Sequence

import pulumi
import pulumi_aws as aws

from infra.encryption import Encryption
from infra.function import LIVE, Function
from infra.grants import TRACING, Grant, allow, policy, trust
from statemachines.render import render

# Step Functions delivers its logs through an API that has no ARNs to name.
_LOG_DELIVERY = allow(
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
    on=["*"],
)


class Workflow(pulumi.ComponentResource):
    """`statemachines/{name}.asl.yaml` as the Standard state machine `{prefix}-{name}`.

    It may invoke each of `functions`. Their versions fill the placeholders named after them: `create-refund` fills
    `CreateRefundArn`. `values` fill the others. Executions are started through the alias `live`, `live_arn`, so that
    running ones keep their definition and functions while new ones get those of the latest deployment.
    """

    short_name: str
    arn: pulumi.Output[str]
    live_arn: pulumi.Output[str]
    executions: pulumi.Output[str]
    may_start: Grant
    log_group: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        account: str,
        functions: Sequence[Function],
        values: Mapping[str, pulumi.Input[str] | pulumi.Input[int] | float],
        grants: Iterable[Grant],
        log_retention_days: int,
        encryption: Encryption,
    ) -> None:
        super().__init__("booking:infra:Workflow", name)
        inside = pulumi.ResourceOptions(parent=self)
        full_name = f"{prefix}-{name}"

        logs = aws.cloudwatch.LogGroup(
            f"{name}-workflow",
            # Under this path, all state machines share one entry in the account's log resource policy.
            name=f"/aws/vendedlogs/states/{full_name}",
            retention_in_days=log_retention_days,
            kms_key_id=encryption.key_arn,
            opts=inside,
        )
        role = aws.iam.Role(
            f"{name}-workflow",
            name=f"{full_name}-workflow",
            assume_role_policy=trust("states", account=account),
            opts=inside,
        )
        # All versions: after a deployment, a running execution still calls those it was started with.
        callable_ = [pulumi.Output.concat(function.arn, ":*") for function in functions]
        permissions = aws.iam.RolePolicy(
            f"{name}-workflow",
            name=f"{full_name}-workflow",
            role=role.name,
            policy=policy(
                [
                    allow("lambda:InvokeFunction", on=callable_),
                    *grants,
                    *encryption.grants,
                    *encryption.of_executions(full_name),
                    _LOG_DELIVERY,
                    TRACING,
                ]
            ),
            opts=inside,
        )
        placeholders = {f"{f.short_name.title().replace('-', '')}Arn": f.version_arn for f in functions}
        machine = aws.sfn.StateMachine(
            name,
            name=full_name,
            type="STANDARD",
            publish=True,
            role_arn=role.arn,
            definition=pulumi.Output.all(**placeholders, **values).apply(lambda filled: render(name, filled)),
            logging_configuration={
                "level": "ALL",
                "include_execution_data": False,  # they contain task tokens
                "log_destination": pulumi.Output.concat(logs.arn, ":*"),
            },
            tracing_configuration={"enabled": True},
            encryption_configuration=encryption.of_state_machines,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        self.short_name, self.log_group = name, logs.name
        live = aws.sfn.Alias(
            name,
            name=LIVE,
            routing_configurations=[{"state_machine_version_arn": machine.state_machine_version_arn, "weight": 100}],
            opts=inside,
        )
        self.arn, self.live_arn = machine.arn, live.arn
        # A call through an alias is authorised on the ARN of the state machine itself.
        self.may_start = allow(
            "states:StartExecution", on=[machine.arn], when={"StringEquals": {"states:StateMachineQualifier": LIVE}}
        )
        # For roles that may read its executions.
        self.executions = machine.arn.apply(lambda arn: f"{arn.replace(':stateMachine:', ':execution:')}:*")
        self.register_outputs({"arn": self.arn})
