"""Resources that nothing on one machine uses: they exist in the engine's state alone."""

from local.pulumi.resources.resource_type import AwsClients, Created, ResourceType, Values


class _AnyProperty:
    def __contains__(self, _: object) -> bool:
        return True


class StateOnly(ResourceType):
    """`arn`: what stands in the resource's ARN before its id, where it has an ARN."""

    def __init__(self, *identity: str, arn: str = "") -> None:
        self.identity, self.updatable, self._arn = identity, _AnyProperty(), arn
        self.computed = ("arn",) if arn else ()

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        id_ = "/".join(str(inputs[name]) for name in self.identity)
        return id_, {"arn": f"arn:aws:{self._arn}:{id_}"} if self._arn else {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        return {}

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        pass
