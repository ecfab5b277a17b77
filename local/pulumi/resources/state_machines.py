"""Step Functions: state machines and their aliases."""

import json

from local.aws.aws_account import ACCOUNT, REGION
from local.pulumi.resources.resource_type import (
    NOT_FOUND,
    AwsClients,
    Created,
    DeployError,
    ResourceType,
    Values,
    ignoring,
)


def _check_definition(text: str) -> None:
    """Raises DeployError for states that are missing or unreachable, as ValidateStateMachineDefinition reports them."""
    try:
        definition = json.loads(text)
    except ValueError as error:
        raise DeployError(f"the definition is not JSON: {error}") from error
    states = definition.get("States", {})
    reached, pending = set(), [definition.get("StartAt")]
    while pending:
        name = pending.pop()
        if name in reached:
            continue
        if name not in states:
            raise DeployError(f"the definition leads to a state {name!r} that it does not have")
        reached.add(name)
        state = states[name]
        choices = [*state.get("Choices", []), *state.get("Catch", [])]
        next_ = [state.get("Next"), state.get("Default"), *(choice.get("Next") for choice in choices)]
        pending += [following for following in next_ if following is not None]
        if not (pending or any(next_) or state.get("End") or state["Type"] in ("Succeed", "Fail")):
            raise DeployError(f"the definition does not say what follows {name!r}")
    if unreachable := states.keys() - reached:
        raise DeployError(f"nothing leads to the states {sorted(unreachable)} of the definition")


class StateMachine(ResourceType):
    replaces = frozenset({"type"})
    updatable = frozenset(
        {"definition", "encryptionConfiguration", "loggingConfiguration", "roleArn", "tracingConfiguration"}
    )
    computed = ("arn", "stateMachineVersionArn")
    recomputed = ("stateMachineVersionArn",)

    def check(self, aws: AwsClients, inputs: Values) -> None:
        if "definition" in inputs:
            _check_definition(inputs["definition"])
        if "roleArn" in inputs:
            aws.require_trust(inputs["roleArn"], "states")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{inputs['name']}"
        request = {**self._request(inputs), "publish": inputs["publish"]}
        if self.read(aws, arn, inputs) is not None:
            created = aws.client("stepfunctions").update_state_machine(stateMachineArn=arn, **request)
        else:
            tags = [{"key": key, "value": value} for key, value in inputs.get("tags", {}).items()]
            created = aws.client("stepfunctions").create_state_machine(
                name=inputs["name"], type=inputs["type"], tags=tags, **request
            )
        return arn, {"arn": arn, "stateMachineVersionArn": created["stateMachineVersionArn"]}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=id_)
            return {"definition": found["definition"], "roleArn": found["roleArn"]}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        created = aws.client("stepfunctions").update_state_machine(
            stateMachineArn=id_, publish=inputs["publish"], **self._request(inputs)
        )
        return {"stateMachineVersionArn": created["stateMachineVersionArn"]}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("stepfunctions").delete_state_machine(stateMachineArn=id_)

    @staticmethod
    def _request(inputs: Values) -> Values:
        logging = inputs["loggingConfiguration"]
        return {
            "definition": inputs["definition"],
            "roleArn": inputs["roleArn"],
            "loggingConfiguration": {
                "level": logging["level"],
                "includeExecutionData": logging["includeExecutionData"],
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": logging["logDestination"]}}],
            },
            "tracingConfiguration": inputs["tracingConfiguration"],
            "encryptionConfiguration": inputs.get("encryptionConfiguration") or {"type": "AWS_OWNED_KEY"},
        }


class StateMachineAlias(ResourceType):
    # The state machine is no property of the alias: its routing names it.
    identity = ()
    replaces = frozenset({"name"})
    updatable = frozenset({"routingConfigurations"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        routing = self._routing(inputs)
        machine = routing[0]["stateMachineVersionArn"].rpartition(":")[0]
        arn = f"{machine}:{inputs['name']}"
        if self.read(aws, arn, inputs) is not None:
            self.update(aws, arn, inputs, inputs)
        else:
            aws.client("stepfunctions").create_state_machine_alias(name=inputs["name"], routingConfiguration=routing)
        return arn, {"arn": arn}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("stepfunctions").describe_state_machine_alias(stateMachineAliasArn=id_)
            return {"routingConfigurations": found["routingConfiguration"]}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("stepfunctions").update_state_machine_alias(
            stateMachineAliasArn=id_, routingConfiguration=self._routing(inputs)
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("stepfunctions").delete_state_machine_alias(stateMachineAliasArn=id_)

    @staticmethod
    def _routing(inputs: Values) -> list[Values]:
        return [
            {"stateMachineVersionArn": route["stateMachineVersionArn"], "weight": route["weight"]}
            for route in inputs["routingConfigurations"]
        ]
