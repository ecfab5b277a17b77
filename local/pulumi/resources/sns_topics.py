"""SNS: topics, their policies and subscriptions."""

import json

from local.pulumi.resources.resource_type import (
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    ignoring,
    keep_if_equal,
    tag_list,
)


class Topic(ResourceType):
    updatable = frozenset({"kmsMasterKeyId"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        arn = aws.client("sns").create_topic(Name=inputs["name"], Tags=tag_list(inputs))["TopicArn"]
        self.update(aws, arn, inputs, inputs)
        return arn, {"arn": arn}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            aws.client("sns").get_topic_attributes(TopicArn=id_)
            return {}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("sns").set_topic_attributes(
            TopicArn=id_, AttributeName="KmsMasterKeyId", AttributeValue=inputs.get("kmsMasterKeyId", "")
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("sns").delete_topic(TopicArn=id_)


class TopicPolicy(ResourceType):
    identity = ("arn",)
    updatable = frozenset({"policy"})

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        self.update(aws, inputs["arn"], inputs, inputs)
        return inputs["arn"], {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            live = aws.client("sns").get_topic_attributes(TopicArn=id_)["Attributes"]["Policy"]
            return {"policy": keep_if_equal(live, inputs["policy"])}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("sns").set_topic_attributes(TopicArn=id_, AttributeName="Policy", AttributeValue=inputs["policy"])
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            empty = json.dumps({"Version": "2012-10-17", "Statement": []})
            aws.client("sns").set_topic_attributes(TopicArn=id_, AttributeName="Policy", AttributeValue=empty)


class TopicSubscription(ResourceType):
    identity = ("topic", "protocol", "endpoint")
    computed = ("arn", "pendingConfirmation")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        arn = aws.client("sns").subscribe(
            TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"]
        )["SubscriptionArn"]
        return arn, {"arn": arn, "pendingConfirmation": inputs["protocol"] == "email"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            aws.client("sns").get_subscription_attributes(SubscriptionArn=id_)
            return {}
        return None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("sns").unsubscribe(SubscriptionArn=id_)
