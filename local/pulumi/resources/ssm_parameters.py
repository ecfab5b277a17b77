"""SSM parameters."""

from typing import Any

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    ALREADY_EXISTS,
    NOT_FOUND,
    AwsClients,
    Created,
    DeployError,
    ResourceType,
    Values,
    ignoring,
    tag_list,
)


class Parameter(ResourceType):
    updatable = frozenset({"type", "value", "valueWo", "valueWoVersion"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        with ignoring(ALREADY_EXISTS) as create:
            self._put(aws, inputs, Tags=tag_list(inputs))
        # A write-only value may have been replaced by its owner since: it is never overwritten.
        if create.ignored and "value" in inputs:
            self._put(aws, inputs, Overwrite=True)
        return inputs["name"], {"arn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{inputs['name']}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("ssm").get_parameter(Name=id_, WithDecryption=True)["Parameter"]
            return {"type": found["Type"], **({"value": found["Value"]} if "value" in inputs else {})}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        changed = {name for name in inputs | old if inputs.get(name) != old.get(name)} - {"tags"}
        if changed and "valueWo" in inputs and "valueWoVersion" not in changed:
            raise DeployError(f"a change of {', '.join(sorted(changed))} would overwrite the value with an empty one")
        if changed:
            self._put(aws, inputs, Overwrite=True)
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("ssm").delete_parameter(Name=id_)

    @staticmethod
    def _put(aws: AwsClients, inputs: Values, **options: Any) -> None:
        value = inputs["valueWo"] if "valueWo" in inputs else inputs["value"]
        aws.client("ssm").put_parameter(Name=inputs["name"], Value=value, Type=inputs["type"], **options)
