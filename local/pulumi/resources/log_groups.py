"""CloudWatch log groups."""

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    ALREADY_EXISTS,
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    first_match,
    ignoring,
)


class LogGroup(ResourceType):
    updatable = frozenset({"kmsKeyId", "retentionInDays"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        with ignoring(ALREADY_EXISTS):
            aws.client("logs").create_log_group(logGroupName=inputs["name"], tags=inputs.get("tags", {}))
        self.update(aws, inputs["name"], inputs, inputs)
        return inputs["name"], {"arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{inputs['name']}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        found = aws.client("logs").describe_log_groups(logGroupNamePrefix=id_)["logGroups"]
        group = first_match(found, logGroupName=id_)
        return None if group is None else {"retentionInDays": group.get("retentionInDays", 0)}

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("logs").put_retention_policy(logGroupName=id_, retentionInDays=inputs["retentionInDays"])
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("logs").delete_log_group(logGroupName=id_)
