"""What a role may do: exact actions on exact ARNs."""

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

type Grant = dict[str, Any]


def allow(*actions: str, on: Iterable[pulumi.Input[str]], when: Mapping[str, Any] | None = None) -> Grant:
    grant = {"Effect": "Allow", "Action": list(actions), "Resource": list(on)}
    return grant if when is None else {**grant, "Condition": when}


def policy(grants: Iterable[Grant]) -> pulumi.Output[str]:
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(grants)})


def trust(service: str, *, account: str | None) -> pulumi.Output[str]:
    """Return the trust policy of a role that an AWS service assumes, for resources of `account` only unless None."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    if account is not None:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]})


# X-Ray has no resources to name.
TRACING = allow(
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets", on=["*"]
)
