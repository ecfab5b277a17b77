"""Lambda layers."""

import base64
import hashlib

from local.aws.archives import WORKING_TREE, zipped
from local.pulumi.resources.resource_type import NOT_FOUND, AwsClients, Created, ResourceType, Values, ignoring


class LayerVersion(ResourceType):
    identity = ("layerName",)
    replaces = frozenset({"code", "compatibleArchitectures", "compatibleRuntimes"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        # The layer's hash stands for its content: nothing is imported from it, and moto would keep the whole archive.
        content = (
            zipped({"hash": inputs["code"]["hash"].encode()}) if isinstance(inputs["code"], dict) else WORKING_TREE
        )
        sha = base64.b64encode(hashlib.sha256(content).digest()).decode()
        layers = aws.client("lambda")
        for found in layers.list_layer_versions(LayerName=inputs["layerName"])["LayerVersions"]:
            version = layers.get_layer_version(LayerName=inputs["layerName"], VersionNumber=found["Version"])
            if version["Content"]["CodeSha256"] == sha:
                return found["LayerVersionArn"], {"arn": found["LayerVersionArn"]}
        created = layers.publish_layer_version(
            LayerName=inputs["layerName"],
            CompatibleArchitectures=inputs["compatibleArchitectures"],
            CompatibleRuntimes=inputs["compatibleRuntimes"],
            Content={"ZipFile": content},
        )
        return created["LayerVersionArn"], {"arn": created["LayerVersionArn"]}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        version = int(id_.rpartition(":")[2])
        with ignoring(NOT_FOUND):
            aws.client("lambda").get_layer_version(LayerName=inputs["layerName"], VersionNumber=version)
            return {}
        return None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        version = int(id_.rpartition(":")[2])
        with ignoring(NOT_FOUND):
            aws.client("lambda").delete_layer_version(LayerName=inputs["layerName"], VersionNumber=version)
