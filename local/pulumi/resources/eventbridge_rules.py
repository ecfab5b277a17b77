"""EventBridge: buses, rules and their targets."""

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
    keep_if_equal,
    tag_list,
)


class EventBus(ResourceType):
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        with ignoring(ALREADY_EXISTS):
            aws.client("events").create_event_bus(Name=inputs["name"], Tags=tag_list(inputs))
        return inputs["name"], {"arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{inputs['name']}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            aws.client("events").describe_event_bus(Name=id_)
            return {}
        return None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("events").delete_event_bus(Name=id_)


class EventRule(ResourceType):
    updatable = frozenset({"eventPattern"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        created = aws.client("events").put_rule(
            Name=inputs["name"], EventPattern=inputs["eventPattern"], Tags=tag_list(inputs)
        )
        return inputs["name"], {"arn": created["RuleArn"]}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            live = aws.client("events").describe_rule(Name=id_)["EventPattern"]
            return {"eventPattern": keep_if_equal(live, inputs["eventPattern"])}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("events").put_rule(Name=id_, EventPattern=inputs["eventPattern"])
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            targets = aws.client("events").list_targets_by_rule(Rule=id_)["Targets"]
            if targets:
                aws.client("events").remove_targets(Rule=id_, Ids=[target["Id"] for target in targets])
            aws.client("events").delete_rule(Name=id_)


class EventTarget(ResourceType):
    identity = ("rule", "targetId")
    updatable = frozenset({"arn", "inputTransformer", "retryPolicy"})

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        self.update(aws, "", inputs, inputs)
        return f"{inputs['rule']}-{inputs['targetId']}", {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("events").list_targets_by_rule(Rule=inputs["rule"])["Targets"]
            target = first_match(found, Id=inputs["targetId"])
            return None if target is None else {"arn": target["Arn"]}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        target = {"Id": inputs["targetId"], "Arn": inputs["arn"]}
        if transformer := inputs.get("inputTransformer"):
            target["InputTransformer"] = {
                "InputPathsMap": transformer["inputPaths"],
                "InputTemplate": transformer["inputTemplate"],
            }
        aws.client("events").put_targets(Rule=inputs["rule"], Targets=[target])
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("events").remove_targets(Rule=inputs["rule"], Ids=[inputs["targetId"]])
