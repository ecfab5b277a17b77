"""DynamoDB tables."""

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    ALREADY_EXISTS,
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    ignoring,
    tag_list,
)


def _keys(schema: list[Values]) -> list[dict[str, str]]:
    return [{"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in schema]


class Table(ResourceType):
    replaces = frozenset({"hashKey", "rangeKey"})
    updatable = frozenset(
        {"attributes", "deletionProtectionEnabled", "globalSecondaryIndexes", "pointInTimeRecovery", "ttl"}
    )
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        indexes = self._indexes(inputs)
        with ignoring(ALREADY_EXISTS) as create:
            aws.client("dynamodb").create_table(
                TableName=inputs["name"],
                BillingMode=inputs["billingMode"],
                KeySchema=[
                    {"AttributeName": inputs[name], "KeyType": kind}
                    for name, kind in (("hashKey", "HASH"), ("rangeKey", "RANGE"))
                    if inputs.get(name)
                ],
                AttributeDefinitions=self._attributes(inputs),
                **({"GlobalSecondaryIndexes": list(indexes.values())} if indexes else {}),
                SSESpecification={"Enabled": inputs["serverSideEncryption"]["enabled"]},
                DeletionProtectionEnabled=inputs["deletionProtectionEnabled"],
                Tags=tag_list(inputs),
            )
        if create.ignored:
            self.update(aws, inputs["name"], inputs, inputs)
        else:
            self._apply_settings(aws, inputs)
        return inputs["name"], {"arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{inputs['name']}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            table = aws.client("dynamodb").describe_table(TableName=id_)["Table"]
            recovery = aws.client("dynamodb").describe_continuous_backups(TableName=id_)["ContinuousBackupsDescription"]
            indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
            return {
                "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
                "globalSecondaryIndexes": [i for i in inputs.get("globalSecondaryIndexes", []) if i["name"] in indexes],
                "pointInTimeRecovery": {
                    "enabled": recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
                },
            }
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        dynamodb, wanted = aws.client("dynamodb"), self._indexes(inputs)
        table = dynamodb.describe_table(TableName=id_)["Table"]
        present = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
        changes = [
            *[{"Delete": {"IndexName": name}} for name in sorted(present - wanted.keys())],
            *[{"Create": wanted[name]} for name in sorted(wanted.keys() - present)],
        ]
        for change in changes:
            dynamodb.update_table(
                TableName=id_, AttributeDefinitions=self._attributes(inputs), GlobalSecondaryIndexUpdates=[change]
            )
        dynamodb.update_table(TableName=id_, DeletionProtectionEnabled=inputs["deletionProtectionEnabled"])
        self._apply_settings(aws, inputs)
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("dynamodb").delete_table(TableName=id_)

    @staticmethod
    def _attributes(inputs: Values) -> list[dict[str, str]]:
        return [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in inputs["attributes"]]

    @staticmethod
    def _indexes(inputs: Values) -> dict[str, Values]:
        return {
            index["name"]: {
                "IndexName": index["name"],
                "KeySchema": _keys(index["keySchemas"]),
                "Projection": {"ProjectionType": index["projectionType"]},
            }
            for index in inputs.get("globalSecondaryIndexes", [])
        }

    @staticmethod
    def _apply_settings(aws: AwsClients, inputs: Values) -> None:
        dynamodb, name = aws.client("dynamodb"), inputs["name"]
        if "ttl" in inputs:
            ttl = {"AttributeName": inputs["ttl"]["attributeName"], "Enabled": inputs["ttl"]["enabled"]}
            now = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            if (now.get("AttributeName"), now["TimeToLiveStatus"] == "ENABLED") != tuple(ttl.values()):
                dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": inputs["pointInTimeRecovery"]["enabled"]},
        )
