"""What every type of AWS resource has in common: how it is created, read, updated and deleted on this machine.

`create` adopts a resource that already exists under the same name: an engine that was killed may have created it
without recording it.
"""

import functools
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

from local.aws.aws_account import ACCOUNT, REGION

type Values = dict[str, Any]
"""Properties of a resource, with Pulumi's camelCase names."""

type Created = tuple[str, Values]
"""A new resource's id, and its outputs besides the inputs."""


class DeployError(Exception):
    """The program registers something that AWS or the local stack would refuse."""


@dataclass(frozen=True)
class Options:
    """What Pulumi itself does: refuse to delete a resource, leave it when the stack ends, ignore changes."""

    protect: bool = False
    retain: bool = False
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resource:
    """A resource that the program registered: Pulumi's type, its name, its inputs with secrets unwrapped."""

    type: str
    name: str
    inputs: Values
    options: Options = Options()


class AwsClients:
    """The boto3 clients that resources are created with, and the roles that this deployment declares.

    `trusts`: by the role's name, the services that may assume it once the deployment is complete.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self.trusts: dict[str, set[str]] = {}

    @functools.cache  # noqa: B019  lives as long as the deployment
    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, **self._options)  # type: ignore[call-overload]

    def require_trust(self, role_arn: str, service: str) -> None:
        """Raises DeployError where AWS would not let the service assume the role."""
        name = role_arn.rpartition("/")[2]
        trusted = self.trusts.get(name)
        if trusted is None:
            try:
                role = self.client("iam").get_role(RoleName=name)["Role"]
            except ClientError as error:
                raise DeployError(f"there is no role {name}") from error
            trusted = trusted_services(role["AssumeRolePolicyDocument"])
        if service not in trusted:
            raise DeployError(f"role {name} does not trust {service}.amazonaws.com")


def trusted_services(policy: Mapping[str, Any]) -> set[str]:
    """The services that a trust policy allows, without `.amazonaws.com`, for resources of this account."""
    conditions: tuple[Values, Values] = ({}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    return {
        statement["Principal"]["Service"].removesuffix(".amazonaws.com")
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        and "Service" in statement["Principal"]
        and statement.get("Condition", {}) in conditions
    }


class ResourceType:
    """One type of resource.

    `identity`: the properties that identify a resource; changing one replaces it. `replaces`: further properties that
    cannot be changed in place. `updatable`: the properties that `update` changes; a change of any other property is
    refused. `computed`: the outputs besides the inputs; `recomputed`: those of them that an update may change.
    """

    identity: tuple[str, ...] = ("name",)
    replaces: frozenset[str] = frozenset()
    updatable: Container[str] = frozenset()
    computed: tuple[str, ...] = ()
    recomputed: tuple[str, ...] = ()

    def check(self, aws: AwsClients, inputs: Values) -> None:
        """Raises DeployError for what AWS would refuse; `inputs` lacks values that are not known yet."""

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        raise NotImplementedError

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        """The live properties, as far as AWS returns them; None where the resource no longer exists."""
        raise NotImplementedError

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        """Applies `inputs`, which were `old`; returns the computed outputs that changed."""
        raise NotImplementedError

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        """Does nothing where the resource no longer exists."""
        raise NotImplementedError


NOT_FOUND = {
    "NotFound",
    "NotFoundException",
    "NoSuchEntity",
    "ParameterNotFound",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
}
ALREADY_EXISTS = {
    "AlreadyExists",
    "ConflictException",
    "EntityAlreadyExists",
    "GroupExistsException",
    "ParameterAlreadyExists",
    "ResourceAlreadyExistsException",
    "ResourceConflictException",
    "ResourceInUseException",
    "StateMachineAlreadyExists",
}


class ignoring:  # noqa: N801  reads like contextlib.suppress
    """Suppresses AWS errors with one of these codes; `ignored` is true once it has suppressed one."""

    def __init__(self, codes: set[str]) -> None:
        self._codes, self.ignored = codes, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self.ignored = isinstance(error, ClientError) and error.response["Error"]["Code"] in self._codes
        return self.ignored


def tag_list(inputs: Values) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()]


def first_match(values: Iterable[Any], **attributes: Any) -> Any:
    """The first value that has all these attributes, or None."""
    return next((value for value in values if attributes.items() <= value.items()), None)


def keep_if_equal(live: str, declared: str) -> str:
    """`declared` where the live document is the same JSON in another notation, else `live`."""
    return declared if json.loads(live) == json.loads(declared) else live
