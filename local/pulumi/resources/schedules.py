"""EventBridge Scheduler's schedules."""

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    ALREADY_EXISTS,
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    ignoring,
)


class Schedule(ResourceType):
    updatable = frozenset({"flexibleTimeWindow", "scheduleExpression", "target"})
    computed = ("arn",)

    def check(self, aws: AwsClients, inputs: Values) -> None:
        if arn := inputs.get("target", {}).get("roleArn"):
            aws.require_trust(arn, "scheduler")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        with ignoring(ALREADY_EXISTS) as create:
            aws.client("scheduler").create_schedule(**self._request(inputs))
        if create.ignored:
            self.update(aws, "", inputs, inputs)
        arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{inputs['name']}"
        return f"default/{inputs['name']}", {"arn": arn}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("scheduler").get_schedule(Name=inputs["name"])
            target = {**inputs["target"], "arn": found["Target"]["Arn"], "roleArn": found["Target"]["RoleArn"]}
            return {"scheduleExpression": found["ScheduleExpression"], "target": target}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("scheduler").update_schedule(**self._request(inputs))
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("scheduler").delete_schedule(Name=inputs["name"])

    @staticmethod
    def _request(inputs: Values) -> Values:
        target = inputs["target"]
        return {
            "Name": inputs["name"],
            "ScheduleExpression": inputs["scheduleExpression"],
            "FlexibleTimeWindow": {"Mode": inputs["flexibleTimeWindow"]["mode"]},
            "Target": {
                "Arn": target["arn"],
                "RoleArn": target["roleArn"],
                "Input": target["input"],
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": target["retryPolicy"]["maximumEventAgeInSeconds"],
                    "MaximumRetryAttempts": target["retryPolicy"]["maximumRetryAttempts"],
                },
            },
        }
