"""A Lambda function with its role and its log group."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import pulumi
import pulumi_aws as aws

from infra import packaging
from infra.encryption import Encryption
from infra.grants import TRACING, Grant, allow, policy, trust

NAMESPACE = "BookingPayments"
"""The namespace of our metrics. Each metric has the dimension `service`, which is the stack's prefix."""

MEMORY = 512
"""MB, of which none uses more than 60. It gives a function 0.29 of a processor: 9 ms of CPU for the first session of a
container take 31 ms, 4 ms in the webhook 14. With 256 MB both would take twice as long while somebody waits; with more,
waiting for Stripe, which is most of the time, would cost more (docs/evidence/2026-11-28-cold-starts.md)."""

LIVE = "live"
"""The alias of the version that handles new work."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What all functions of a stack share."""

    prefix: str
    account: str
    code: pulumi.Archive
    layers: list[pulumi.Output[str]]
    log_retention_days: int
    encryption: Encryption

    @classmethod
    def build(
        cls, *, prefix: str, account: str, package: bool, log_retention_days: int, encryption: Encryption
    ) -> Self:
        """Package code and dependencies; without `package` the code is taken from the working tree."""
        code: pulumi.Archive = packaging.sources()
        layers: list[pulumi.Output[str]] = []
        if package:
            code = pulumi.FileArchive(str(packaging.code()))
            dependencies = aws.lambda_.LayerVersion(
                "dependencies",
                layer_name=f"{prefix}-dependencies",
                code=pulumi.FileArchive(str(packaging.layer())),
                compatible_architectures=["arm64"],
                compatible_runtimes=["python3.13"],
            )
            layers = [dependencies.arn]
        return cls(
            prefix=prefix,
            account=account,
            code=code,
            layers=layers,
            log_retention_days=log_retention_days,
            encryption=encryption,
        )


class Function(pulumi.ComponentResource):
    """The module or package `lambdas/{module}` as the function `{prefix}-{module with dashes}`.

    Its role may write its logs and traces, and do what `grants` allow. Each deployment that changes the function
    publishes a version, `version_arn`, and points the alias `live` at it, `live_arn`. `created` (ISO
    8601) stays as it is.
    """

    short_name: str
    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    version_arn: pulumi.Output[str]
    live: pulumi.Output[str]
    live_arn: pulumi.Output[str]
    live_invoke_arn: pulumi.Output[str]
    log_group: pulumi.Output[str]
    created: pulumi.Output[str]

    def __init__(
        self,
        runtime: Runtime,
        module: str,
        *,
        timeout: int = 30,
        memory: int = MEMORY,
        environment: Mapping[str, pulumi.Input[str]],
        grants: Iterable[Grant],
    ) -> None:
        name = module.replace("_", "-")
        super().__init__("booking:infra:Function", name)
        inside = pulumi.ResourceOptions(parent=self)
        full_name = f"{runtime.prefix}-{name}"

        logs = aws.cloudwatch.LogGroup(
            name,
            name=f"/aws/lambda/{full_name}",
            retention_in_days=runtime.log_retention_days,
            kms_key_id=runtime.encryption.key_arn,
            opts=inside,
        )
        role = aws.iam.Role(
            name, name=full_name, assume_role_policy=trust("lambda", account=runtime.account), opts=inside
        )
        writing = allow("logs:CreateLogStream", "logs:PutLogEvents", on=[pulumi.Output.concat(logs.arn, ":*")])
        permissions = aws.iam.RolePolicy(
            name,
            name=full_name,
            role=role.name,
            policy=policy([writing, TRACING, *grants, *runtime.encryption.grants]),
            opts=inside,
        )
        function = aws.lambda_.Function(
            name,
            name=full_name,
            handler=f"{packaging.handler_modules()[module]}.handler",
            runtime="python3.13",
            architectures=["arm64"],
            code=runtime.code,
            publish=True,
            layers=runtime.layers,
            role=role.arn,
            timeout=timeout,
            memory_size=memory,
            environment={
                "variables": {
                    "POWERTOOLS_SERVICE_NAME": runtime.prefix,
                    "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                    "POWERTOOLS_LOGGER_LOG_EVENT": "false",
                    **({"AWS_CA_BUNDLE": f"/opt/python/{packaging.AMAZON_ROOTS}"} if runtime.layers else {}),
                    **environment,
                }
            },
            tracing_config={"mode": "Active"},
            logging_config={"log_format": "Text", "log_group": logs.name},  # Powertools writes JSON itself
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        self.short_name, self.log_group, self.created = name, logs.name, role.create_date
        live = aws.lambda_.Alias(
            name, name=LIVE, function_name=function.name, function_version=function.version, opts=inside
        )
        self.name, self.arn, self.version_arn = function.name, function.arn, function.qualified_arn
        self.live, self.live_arn, self.live_invoke_arn = live.name, live.arn, live.invoke_arn
        self.register_outputs({"arn": self.arn})
