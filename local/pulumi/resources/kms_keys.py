"""KMS: keys with their policies. Their aliases have no effect on one machine."""

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    ignoring,
    keep_if_equal,
)


class Key(ResourceType):
    identity = ("description",)
    updatable = frozenset({"deletionWindowInDays", "enableKeyRotation", "policy"})
    computed = ("keyId", "arn")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        keys = aws.client("kms")
        found = (keys.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys.list_keys()["Keys"])
        id_ = next(
            (key["KeyId"] for key in found if key["Description"] == inputs["description"] and key["Enabled"]), None
        )
        if id_ is None:
            id_ = keys.create_key(Description=inputs["description"])["KeyMetadata"]["KeyId"]
        self.update(aws, id_, inputs, inputs)
        return id_, {"keyId": id_, "arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id_}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            live = aws.client("kms").get_key_policy(KeyId=id_, PolicyName="default")["Policy"]
            return {"policy": keep_if_equal(live, inputs["policy"])}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("kms").put_key_policy(KeyId=id_, PolicyName="default", Policy=inputs["policy"])
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            days = inputs["deletionWindowInDays"]
            aws.client("kms").schedule_key_deletion(KeyId=id_, PendingWindowInDays=days)
