"""What each type of AWS resource is on this machine: how it is made, read, changed and deleted.

The one table of types, RESOURCES, is what `local.deployer` (Pulumi's mocks) and `local.provider` (the Pulumi engine) go
by. Making takes what is there already under the same name, since an engine that was killed may not know of it.
"""

import base64
import functools
import hashlib
import importlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
import pulumi
from botocore.exceptions import ClientError
from pulumi import _types as pulumi_types

from local.aws.archives import WORKING_TREE, zipped

REGION = "eu-west-1"
ACCOUNT = "123456789012"

type Values = dict[str, Any]
type Made = tuple[str, Values]
"""A resource's id, and what it has besides its inputs."""


class DeployError(Exception):
    """The program, or what it asks for, is wrong."""


@dataclass(frozen=True)
class Resource:
    """What the program registered: Pulumi's type, its name, its inputs in camelCase with secrets unwrapped.

    `protect`: Pulumi refuses to delete it.
    """

    type: str
    name: str
    inputs: Values
    protect: bool = False


class Aws:
    """The AWS that resources are made in, one client a service, and what the program says of it meanwhile.

    `trusts`: by role's name, the services that may take it once the program is through.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self.trusts: dict[str, set[str]] = {}

    @functools.cache  # noqa: B019  as long-lived as the deployment
    def __call__(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, **self._options)  # type: ignore[call-overload]

    def refuse_role(self, arn: str, service: str) -> None:
        """Raises DeployError where AWS would not let the service take the role."""
        name = arn.rpartition("/")[2]
        trusted = self.trusts.get(name)
        if trusted is None:
            try:
                trusted = _services(self("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"])
            except ClientError as error:
                raise DeployError(f"there is no role {name}") from error
        if service not in trusted:
            raise DeployError(f"role {name} does not trust {service}.amazonaws.com")


def _services(trust: Mapping[str, Any]) -> set[str]:
    return {
        statement["Principal"]["Service"].removesuffix(".amazonaws.com")
        for statement in trust["Statement"]
        if statement["Effect"] == "Allow" and "Service" in statement["Principal"]
    }


class Type:
    """One type of resource.

    `identity`: the properties that say which one it is; a change of one makes another. `replaces`: further properties
    that cannot be changed in place. `changes`: those that `update` changes; no other may change. `computed`: the
    outputs besides the inputs; `renewed`: those of them that an update may change.
    """

    identity: tuple[str, ...] = ("name",)
    replaces: frozenset[str] = frozenset()
    changes: Container[str] = frozenset()
    computed: tuple[str, ...] = ()
    renewed: tuple[str, ...] = ()

    def check(self, aws: Aws, given: Values) -> None:
        """Raises DeployError for what AWS would refuse; what is not known yet is not in `given`."""

    def create(self, aws: Aws, given: Values) -> Made:
        raise NotImplementedError

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        """Properties as AWS has them, of those that AWS tells; None where there is no such resource any more."""
        raise NotImplementedError

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        """What has changed of `computed`."""
        raise NotImplementedError

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        """Of what is gone already: nothing."""
        raise NotImplementedError


_GONE = {
    "NotFound",
    "NotFoundException",
    "NoSuchEntity",
    "ParameterNotFound",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
}
_THERE = {
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


class _Told:
    """Passes over the errors of AWS with one of these codes; `notified` says that there was one."""

    def __init__(self, codes: set[str]) -> None:
        self._codes, self.told = codes, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self.told = isinstance(error, ClientError) and error.response["Error"]["Code"] in self._codes
        return self.told


def _tags(given: Values) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in given.get("tags", {}).items()]


def _first(values: Iterable[Any], **attributes: Any) -> Any:
    return next((value for value in values if attributes.items() <= value.items()), None)


def _same_json(live: str, given: str) -> str:
    """What is given, where AWS has the same in other words."""
    return given if json.loads(live) == json.loads(given) else live


class _Everything:
    def __contains__(self, _: object) -> bool:
        return True


class _WithoutEffect(Type):
    """What nothing on one machine works with: it is in the engine's state alone."""

    def __init__(self, *identity: str, arn: str = "") -> None:
        self.identity, self.changes, self._arn = identity, _Everything(), arn
        self.computed = ("arn",) if arn else ()

    def create(self, aws: Aws, given: Values) -> Made:
        del aws
        id_ = "/".join(str(given[name]) for name in self.identity)
        return id_, {"arn": f"arn:aws:{self._arn}:{id_}"} if self._arn else {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del aws, id_, given
        return {}

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del aws, id_, given, old
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        pass


class _Key(_WithoutEffect):
    def __init__(self) -> None:
        super().__init__("description")
        self.computed = ("keyId", "arn")

    def create(self, aws: Aws, given: Values) -> Made:
        del aws
        id_ = str(uuid.uuid5(uuid.NAMESPACE_OID, given["description"]))
        return id_, {"keyId": id_, "arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id_}"}


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(schema: list[Values]) -> list[dict[str, str]]:
    return [{"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in schema]


class _Table(Type):
    replaces = frozenset({"hashKey"})
    changes = frozenset(
        {"attributes", "deletionProtectionEnabled", "globalSecondaryIndexes", "pointInTimeRecovery", "ttl"}
    )
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        indexes = self._indexes(given)
        with _Told(_THERE) as there:
            aws("dynamodb").create_table(
                TableName=given["name"],
                BillingMode=given["billingMode"],
                KeySchema=_keys([{"attributeName": given["hashKey"], "keyType": "HASH"}]),
                AttributeDefinitions=self._attributes(given),
                **({"GlobalSecondaryIndexes": list(indexes.values())} if indexes else {}),
                SSESpecification={"Enabled": given["serverSideEncryption"]["enabled"]},
                DeletionProtectionEnabled=given["deletionProtectionEnabled"],
                Tags=_tags(given),
            )
        if there.told:
            self.update(aws, given["name"], given, given)
        else:
            self._settle(aws, given)
        return given["name"], {"arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{given['name']}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            table = aws("dynamodb").describe_table(TableName=id_)["Table"]
            recovery = aws("dynamodb").describe_continuous_backups(TableName=id_)["ContinuousBackupsDescription"]
            indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
            return {
                "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
                "globalSecondaryIndexes": [i for i in given.get("globalSecondaryIndexes", []) if i["name"] in indexes],
                "pointInTimeRecovery": {
                    "enabled": recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
                },
            }
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        dynamodb, wanted = aws("dynamodb"), self._indexes(given)
        table = dynamodb.describe_table(TableName=id_)["Table"]
        present = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
        changes = [
            *[{"Delete": {"IndexName": name}} for name in sorted(present - wanted.keys())],
            *[{"Create": wanted[name]} for name in sorted(wanted.keys() - present)],
        ]
        for change in changes:
            dynamodb.update_table(
                TableName=id_, AttributeDefinitions=self._attributes(given), GlobalSecondaryIndexUpdates=[change]
            )
        dynamodb.update_table(TableName=id_, DeletionProtectionEnabled=given["deletionProtectionEnabled"])
        self._settle(aws, given)
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("dynamodb").delete_table(TableName=id_)

    @staticmethod
    def _attributes(given: Values) -> list[dict[str, str]]:
        return [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in given["attributes"]]

    @staticmethod
    def _indexes(given: Values) -> dict[str, Values]:
        return {
            index["name"]: {
                "IndexName": index["name"],
                "KeySchema": _keys(index["keySchemas"]),
                "Projection": {"ProjectionType": index["projectionType"]},
            }
            for index in given.get("globalSecondaryIndexes", [])
        }

    @staticmethod
    def _settle(aws: Aws, given: Values) -> None:
        dynamodb, name = aws("dynamodb"), given["name"]
        if "ttl" in given:
            ttl = {"AttributeName": given["ttl"]["attributeName"], "Enabled": given["ttl"]["enabled"]}
            now = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            if (now.get("AttributeName"), now["TimeToLiveStatus"] == "ENABLED") != tuple(ttl.values()):
                dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": given["pointInTimeRecovery"]["enabled"]},
        )


class _Parameter(Type):
    changes = frozenset({"type", "value", "valueWo", "valueWoVersion"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        with _Told(_THERE) as there:
            self._put(aws, given, Tags=_tags(given))
        # What was only ever written may have been written by somebody else since.
        if there.told and "value" in given:
            self._put(aws, given, Overwrite=True)
        return given["name"], {"arn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{given['name']}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            there = aws("ssm").get_parameter(Name=id_, WithDecryption=True)["Parameter"]
            return {"type": there["Type"], **({"value": there["Value"]} if "value" in given else {})}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_
        if any(given.get(name) != old.get(name) for name in ("type", "value", "valueWoVersion")):
            self._put(aws, given, Overwrite=True)
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("ssm").delete_parameter(Name=id_)

    @staticmethod
    def _put(aws: Aws, given: Values, **options: Any) -> None:
        value = given["valueWo"] if "valueWo" in given else given["value"]
        aws("ssm").put_parameter(Name=given["name"], Value=value, Type=given["type"], **options)


# ── Announcements, events, schedules, logs ───────────────────────────────────────────────────────────────────────────


class _Topic(Type):
    changes = frozenset({"kmsMasterKeyId"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        arn = aws("sns").create_topic(Name=given["name"], Tags=_tags(given))["TopicArn"]
        return arn, {"arn": arn}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        with _Told(_GONE):
            aws("sns").get_topic_attributes(TopicArn=id_)
            return {}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("sns").set_topic_attributes(
            TopicArn=id_, AttributeName="KmsMasterKeyId", AttributeValue=given.get("kmsMasterKeyId", "")
        )
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("sns").delete_topic(TopicArn=id_)


class _TopicPolicy(Type):
    identity = ("arn",)
    changes = frozenset({"policy"})

    def create(self, aws: Aws, given: Values) -> Made:
        self.update(aws, given["arn"], given, given)
        return given["arn"], {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            live = aws("sns").get_topic_attributes(TopicArn=id_)["Attributes"]["Policy"]
            return {"policy": _same_json(live, given["policy"])}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("sns").set_topic_attributes(TopicArn=id_, AttributeName="Policy", AttributeValue=given["policy"])
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            nobody = json.dumps({"Version": "2012-10-17", "Statement": []})
            aws("sns").set_topic_attributes(TopicArn=id_, AttributeName="Policy", AttributeValue=nobody)


class _TopicSubscription(Type):
    identity = ("topic", "protocol", "endpoint")
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        arn = aws("sns").subscribe(TopicArn=given["topic"], Protocol=given["protocol"], Endpoint=given["endpoint"])
        return arn["SubscriptionArn"], {"arn": arn["SubscriptionArn"]}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        with _Told(_GONE):
            aws("sns").get_subscription_attributes(SubscriptionArn=id_)
            return {}
        return None

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("sns").unsubscribe(SubscriptionArn=id_)


class _EventBus(Type):
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        with _Told(_THERE):
            aws("events").create_event_bus(Name=given["name"], Tags=_tags(given))
        return given["name"], {"arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{given['name']}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        with _Told(_GONE):
            aws("events").describe_event_bus(Name=id_)
            return {}
        return None

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("events").delete_event_bus(Name=id_)


class _EventRule(Type):
    changes = frozenset({"eventPattern"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        made = aws("events").put_rule(Name=given["name"], EventPattern=given["eventPattern"], Tags=_tags(given))
        return given["name"], {"arn": made["RuleArn"]}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            live = aws("events").describe_rule(Name=id_)["EventPattern"]
            return {"eventPattern": _same_json(live, given["eventPattern"])}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("events").put_rule(Name=id_, EventPattern=given["eventPattern"])
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            targets = aws("events").list_targets_by_rule(Rule=id_)["Targets"]
            if targets:
                aws("events").remove_targets(Rule=id_, Ids=[target["Id"] for target in targets])
            aws("events").delete_rule(Name=id_)


class _EventTarget(Type):
    identity = ("rule", "targetId")
    changes = frozenset({"arn", "inputTransformer", "retryPolicy"})

    def create(self, aws: Aws, given: Values) -> Made:
        self.update(aws, "", given, given)
        return f"{given['rule']}-{given['targetId']}", {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            there = aws("events").list_targets_by_rule(Rule=given["rule"])["Targets"]
            target = _first(there, Id=given["targetId"])
            return None if target is None else {"arn": target["Arn"]}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        target = {"Id": given["targetId"], "Arn": given["arn"]}
        if transformer := given.get("inputTransformer"):
            target["InputTransformer"] = {
                "InputPathsMap": transformer["inputPaths"],
                "InputTemplate": transformer["inputTemplate"],
            }
        aws("events").put_targets(Rule=given["rule"], Targets=[target])
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del id_
        with _Told(_GONE):
            aws("events").remove_targets(Rule=given["rule"], Ids=[given["targetId"]])


class _Schedule(Type):
    changes = frozenset({"flexibleTimeWindow", "scheduleExpression", "target"})
    computed = ("arn",)

    def check(self, aws: Aws, given: Values) -> None:
        if arn := given.get("target", {}).get("roleArn"):
            aws.refuse_role(arn, "scheduler")

    def create(self, aws: Aws, given: Values) -> Made:
        with _Told(_THERE) as there:
            aws("scheduler").create_schedule(**self._asked(given))
        if there.told:
            self.update(aws, "", given, given)
        arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{given['name']}"
        return f"default/{given['name']}", {"arn": arn}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            there = aws("scheduler").get_schedule(Name=given["name"])
            target = {**given["target"], "arn": there["Target"]["Arn"], "roleArn": there["Target"]["RoleArn"]}
            return {"scheduleExpression": there["ScheduleExpression"], "target": target}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        aws("scheduler").update_schedule(**self._asked(given))
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del id_
        with _Told(_GONE):
            aws("scheduler").delete_schedule(Name=given["name"])

    @staticmethod
    def _asked(given: Values) -> Values:
        target = given["target"]
        return {
            "Name": given["name"],
            "ScheduleExpression": given["scheduleExpression"],
            "FlexibleTimeWindow": {"Mode": given["flexibleTimeWindow"]["mode"]},
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


class _LogGroup(Type):
    changes = frozenset({"kmsKeyId", "retentionInDays"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        with _Told(_THERE):
            aws("logs").create_log_group(logGroupName=given["name"], tags=given.get("tags", {}))
        self.update(aws, given["name"], given, given)
        return given["name"], {"arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{given['name']}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        there = aws("logs").describe_log_groups(logGroupNamePrefix=id_)["logGroups"]
        group = _first(there, logGroupName=id_)
        return None if group is None else {"retentionInDays": group.get("retentionInDays", 0)}

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("logs").put_retention_policy(logGroupName=id_, retentionInDays=given["retentionInDays"])
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("logs").delete_log_group(logGroupName=id_)


# ── Roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Role(Type):
    changes = frozenset({"assumeRolePolicy"})
    computed = ("arn",)

    def check(self, aws: Aws, given: Values) -> None:
        if "assumeRolePolicy" in given:
            aws.trusts[given["name"]] = _services(json.loads(given["assumeRolePolicy"]))

    def create(self, aws: Aws, given: Values) -> Made:
        name = given["name"]
        with _Told(_THERE) as there:
            aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=given["assumeRolePolicy"], Tags=_tags(given))
        if there.told:
            self.update(aws, name, given, given)
        return name, {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            live = aws("iam").get_role(RoleName=id_)["Role"]["AssumeRolePolicyDocument"]
            return {"assumeRolePolicy": _same_json(json.dumps(live), given["assumeRolePolicy"])}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("iam").update_assume_role_policy(RoleName=id_, PolicyDocument=given["assumeRolePolicy"])
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            for name in aws("iam").list_role_policies(RoleName=id_)["PolicyNames"]:
                aws("iam").delete_role_policy(RoleName=id_, PolicyName=name)
            aws("iam").delete_role(RoleName=id_)


class _RolePolicy(Type):
    identity = ("role", "name")
    changes = frozenset({"policy"})

    def create(self, aws: Aws, given: Values) -> Made:
        self.update(aws, "", given, given)
        return f"{given['role']}:{given['name']}", {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            live = aws("iam").get_role_policy(RoleName=given["role"], PolicyName=given["name"])["PolicyDocument"]
            return {"policy": _same_json(json.dumps(live), given["policy"])}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        aws("iam").put_role_policy(RoleName=given["role"], PolicyName=given["name"], PolicyDocument=given["policy"])
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del id_
        with _Told(_GONE):
            aws("iam").delete_role_policy(RoleName=given["role"], PolicyName=given["name"])


# ── Functions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _invocation(arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


@functools.lru_cache(maxsize=8)
def _zipped_as(_hash: str, code: str) -> bytes:
    given = json.loads(code)
    return Path(given["path"]).read_bytes() if "path" in given else zipped(_files(given))


def _archive(code: Any) -> bytes:
    """The bytes of an archive as the engine describes it; the mocks give the program's own object."""
    return _zipped_as(code["hash"], json.dumps(code)) if isinstance(code, dict) else WORKING_TREE


def _files(archive: Values) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, asset in archive["assets"].items():
        if "text" in asset:
            found[name] = asset["text"].encode()
        elif "assets" in asset:
            found |= {f"{name}/{inner}": content for inner, content in _files(asset).items()}
        elif (path := Path(asset["path"])).is_dir():
            found |= {f"{name}/{p.relative_to(path)}": p.read_bytes() for p in path.rglob("*") if p.is_file()}
        else:
            found[name] = path.read_bytes()
    return found


class _Function(Type):
    changes = frozenset(
        {"code", "environment", "handler", "layers", "loggingConfig", "memorySize", "role", "runtime", "timeout"}
    )
    computed = ("arn", "invokeArn", "qualifiedArn", "version")
    renewed = ("qualifiedArn", "version")

    def check(self, aws: Aws, given: Values) -> None:
        if "code" not in given:
            raise DeployError("a function needs its archive: there is no code")
        if "role" in given:
            aws.refuse_role(given["role"], "lambda")
        code = given["code"]
        if isinstance(code, dict) and "path" in code and not Path(code["path"]).is_file():
            raise DeployError(f"a function needs its archive: there is no {code['path']}")

    def create(self, aws: Aws, given: Values) -> Made:
        name = given["name"]
        with _Told(_THERE) as there:
            made = aws("lambda").create_function(
                FunctionName=name,
                Architectures=given["architectures"],
                TracingConfig={"Mode": given["tracingConfig"]["mode"]},
                Code={"ZipFile": _archive(given["code"])},
                Publish=given["publish"],
                Tags=given.get("tags", {}),
                **self._configuration(given),
            )
            version = made["Version"]
        if there.told:
            version = self._change(aws, given)
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        return name, {"arn": arn, "invokeArn": _invocation(arn), "version": version, "qualifiedArn": f"{arn}:{version}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            there = aws("lambda").get_function(FunctionName=id_)["Configuration"]
            return {
                "handler": there["Handler"],
                "role": there["Role"],
                "runtime": there["Runtime"],
                "timeout": there["Timeout"],
                "memorySize": there["MemorySize"],
                "environment": {**given["environment"], "variables": there["Environment"]["Variables"]},
            }
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        version = self._change(aws, given)
        return {"version": version, "qualifiedArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{id_}:{version}"}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("lambda").delete_function(FunctionName=id_)

    @staticmethod
    def _configuration(given: Values) -> Values:
        return {
            "Handler": given["handler"],
            "Runtime": given["runtime"],
            "Role": given["role"],
            "Timeout": given["timeout"],
            "MemorySize": given["memorySize"],
            "Environment": {"Variables": given["environment"]["variables"]},
            "Layers": given.get("layers", []),
        }

    def _change(self, aws: Aws, given: Values) -> str:
        """Only what differs, since everything else publishes another version; the newest version."""
        functions, name = aws("lambda"), given["name"]
        there = functions.get_function(FunctionName=name)["Configuration"]
        code = _archive(given["code"])
        if there["CodeSha256"] != base64.b64encode(hashlib.sha256(code).digest()).decode():
            functions.update_function_code(FunctionName=name, ZipFile=code)
        wanted = self._configuration(given)
        layers = [layer["Arn"] for layer in there.get("Layers", [])]
        if wanted != {key: there.get(key) for key in wanted} | {"Layers": layers}:
            functions.update_function_configuration(FunctionName=name, **wanted)
        return str(functions.publish_version(FunctionName=name)["Version"])


class _FunctionAlias(Type):
    identity = ("functionName", "name")
    changes = frozenset({"functionVersion"})
    computed = ("arn", "invokeArn")

    def create(self, aws: Aws, given: Values) -> Made:
        with _Told(_THERE) as there:
            aws("lambda").create_alias(**self._asked(given))
        if there.told:
            self.update(aws, "", given, given)
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{given['functionName']}:{given['name']}"
        return arn, {"arn": arn, "invokeArn": _invocation(arn)}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            there = aws("lambda").get_alias(FunctionName=given["functionName"], Name=given["name"])
            return {"functionVersion": there["FunctionVersion"]}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        aws("lambda").update_alias(**self._asked(given))
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del id_
        with _Told(_GONE):
            aws("lambda").delete_alias(FunctionName=given["functionName"], Name=given["name"])

    @staticmethod
    def _asked(given: Values) -> Values:
        return {
            "FunctionName": given["functionName"],
            "Name": given["name"],
            "FunctionVersion": given["functionVersion"],
        }


class _Layer(Type):
    identity = ("layerName",)
    replaces = frozenset({"code", "compatibleArchitectures", "compatibleRuntimes"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        # Nothing is imported from it, and moto would keep its bytes: its hash will do.
        content = zipped({"hash": given["code"]["hash"].encode()}) if isinstance(given["code"], dict) else WORKING_TREE
        sha = base64.b64encode(hashlib.sha256(content).digest()).decode()
        layers = aws("lambda")
        for there in layers.list_layer_versions(LayerName=given["layerName"])["LayerVersions"]:
            version = layers.get_layer_version(LayerName=given["layerName"], VersionNumber=there["Version"])
            if version["Content"]["CodeSha256"] == sha:
                return there["LayerVersionArn"], {"arn": there["LayerVersionArn"]}
        made = layers.publish_layer_version(
            LayerName=given["layerName"],
            CompatibleArchitectures=given["compatibleArchitectures"],
            CompatibleRuntimes=given["compatibleRuntimes"],
            Content={"ZipFile": content},
        )
        return made["LayerVersionArn"], {"arn": made["LayerVersionArn"]}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        version = int(id_.rpartition(":")[2])
        with _Told(_GONE):
            aws("lambda").get_layer_version(LayerName=given["layerName"], VersionNumber=version)
            return {}
        return None

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        version = int(id_.rpartition(":")[2])
        with _Told(_GONE):
            aws("lambda").delete_layer_version(LayerName=given["layerName"], VersionNumber=version)


class _Permission(Type):
    identity = ("function", "qualifier", "sourceArn")
    replaces = frozenset({"action", "principal"})

    def create(self, aws: Aws, given: Values) -> Made:
        id_ = given["sourceArn"].partition(":")[2].replace(":", "-").replace("/", "-").replace("*", "any")
        self.delete(aws, id_, given)
        aws("lambda").add_permission(
            FunctionName=given["function"],
            StatementId=id_,
            Action=given["action"],
            Principal=given["principal"],
            SourceArn=given["sourceArn"],
            Qualifier=given["qualifier"],
        )
        return id_, {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            policy = aws("lambda").get_policy(FunctionName=given["function"], Qualifier=given["qualifier"])["Policy"]
            return None if _first(json.loads(policy)["Statement"], Sid=id_) is None else {}
        return None

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        with _Told(_GONE):
            aws("lambda").remove_permission(
                FunctionName=given["function"], StatementId=id_, Qualifier=given["qualifier"]
            )


# ── Workflows ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_definition(text: str) -> None:
    """What ValidateStateMachineDefinition finds by the shape of a definition: states that do not exist or are idle."""
    try:
        definition = json.loads(text)
    except ValueError as error:
        raise DeployError(f"the definition is not JSON: {error}") from error
    states = definition.get("States", {})
    reached, ahead = set(), [definition.get("StartAt")]
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        if name not in states:
            raise DeployError(f"the definition leads to a state {name!r} that it does not have")
        reached.add(name)
        state = states[name]
        choices = [*state.get("Choices", []), *state.get("Catch", [])]
        next_ = [state.get("Next"), state.get("Default"), *(choice.get("Next") for choice in choices)]
        ahead += [one for one in next_ if one is not None]
        if not (ahead or any(next_) or state.get("End") or state["Type"] in ("Succeed", "Fail")):
            raise DeployError(f"the definition does not say what follows {name!r}")
    if idle := states.keys() - reached:
        raise DeployError(f"nothing leads to the states {sorted(idle)} of the definition")


class _StateMachine(Type):
    replaces = frozenset({"type"})
    changes = frozenset(
        {"definition", "encryptionConfiguration", "loggingConfiguration", "roleArn", "tracingConfiguration"}
    )
    computed = ("arn", "stateMachineVersionArn")
    renewed = ("stateMachineVersionArn",)

    def check(self, aws: Aws, given: Values) -> None:
        if "definition" in given:
            _refuse_definition(given["definition"])
        if "roleArn" in given:
            aws.refuse_role(given["roleArn"], "states")

    def create(self, aws: Aws, given: Values) -> Made:
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{given['name']}"
        asked = {**self._asked(given), "publish": given["publish"]}
        if self.read(aws, arn, given) is not None:
            made = aws("stepfunctions").update_state_machine(stateMachineArn=arn, **asked)
        else:
            tags = [{"key": key, "value": value} for key, value in given.get("tags", {}).items()]
            made = aws("stepfunctions").create_state_machine(name=given["name"], type=given["type"], tags=tags, **asked)
        return arn, {"arn": arn, "stateMachineVersionArn": made["stateMachineVersionArn"]}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        with _Told(_GONE):
            there = aws("stepfunctions").describe_state_machine(stateMachineArn=id_)
            return {"definition": there["definition"], "roleArn": there["roleArn"]}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        made = aws("stepfunctions").update_state_machine(
            stateMachineArn=id_, publish=given["publish"], **self._asked(given)
        )
        return {"stateMachineVersionArn": made["stateMachineVersionArn"]}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("stepfunctions").delete_state_machine(stateMachineArn=id_)

    @staticmethod
    def _asked(given: Values) -> Values:
        logging = given["loggingConfiguration"]
        return {
            "definition": given["definition"],
            "roleArn": given["roleArn"],
            "loggingConfiguration": {
                "level": logging["level"],
                "includeExecutionData": logging["includeExecutionData"],
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": logging["logDestination"]}}],
            },
            "tracingConfiguration": given["tracingConfiguration"],
        }


class _StateMachineAlias(Type):
    # Its machine is not a property of its own: the routing names it.
    identity = ()
    replaces = frozenset({"name"})
    changes = frozenset({"routingConfigurations"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        routing = self._routing(given)
        machine = routing[0]["stateMachineVersionArn"].rpartition(":")[0]
        arn = f"{machine}:{given['name']}"
        if self.read(aws, arn, given) is not None:
            self.update(aws, arn, given, given)
        else:
            aws("stepfunctions").create_state_machine_alias(name=given["name"], routingConfiguration=routing)
        return arn, {"arn": arn}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        with _Told(_GONE):
            there = aws("stepfunctions").describe_state_machine_alias(stateMachineAliasArn=id_)
            return {"routingConfigurations": there["routingConfiguration"]}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("stepfunctions").update_state_machine_alias(
            stateMachineAliasArn=id_, routingConfiguration=self._routing(given)
        )
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("stepfunctions").delete_state_machine_alias(stateMachineAliasArn=id_)

    @staticmethod
    def _routing(given: Values) -> list[Values]:
        return [
            {"stateMachineVersionArn": route["stateMachineVersionArn"], "weight": route["weight"]}
            for route in given["routingConfigurations"]
        ]


# ── Guests ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _UserPool(Type):
    replaces = frozenset({"schemas", "usernameAttributes"})
    changes = frozenset({"autoVerifiedAttributes", "deletionProtection"})
    computed = ("arn",)

    def create(self, aws: Aws, given: Values) -> Made:
        pools = aws("cognito-idp")
        there = _first(pools.list_user_pools(MaxResults=60)["UserPools"], Name=given["name"])
        if there is None:
            there = pools.create_user_pool(
                PoolName=given["name"],
                UsernameAttributes=given["usernameAttributes"],
                AutoVerifiedAttributes=given["autoVerifiedAttributes"],
                DeletionProtection=given["deletionProtection"],
                Schema=[
                    {
                        "Name": attribute["name"],
                        "AttributeDataType": attribute["attributeDataType"],
                        "Mutable": attribute["mutable"],
                        "StringAttributeConstraints": {
                            "MinLength": attribute["stringAttributeConstraints"]["minLength"],
                            "MaxLength": attribute["stringAttributeConstraints"]["maxLength"],
                        },
                    }
                    for attribute in given["schemas"]
                ],
            )["UserPool"]
        return there["Id"], {"arn": f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{there['Id']}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            there = aws("cognito-idp").describe_user_pool(UserPoolId=id_)["UserPool"]
            return {"deletionProtection": there.get("DeletionProtection", given["deletionProtection"])}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("cognito-idp").update_user_pool(
            UserPoolId=id_,
            AutoVerifiedAttributes=given["autoVerifiedAttributes"],
            DeletionProtection=given["deletionProtection"],
        )
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("cognito-idp").delete_user_pool(UserPoolId=id_)


class _UserPoolClient(Type):
    identity = ("userPoolId", "name")
    changes = frozenset({"explicitAuthFlows", "preventUserExistenceErrors", "readAttributes", "writeAttributes"})

    def create(self, aws: Aws, given: Values) -> Made:
        pool, clients = given["userPoolId"], aws("cognito-idp")
        there = clients.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
        client = _first(there, ClientName=given["name"])
        if client is None:
            client = clients.create_user_pool_client(**self._asked(given))["UserPoolClient"]
        else:
            self.update(aws, client["ClientId"], given, given)
        return client["ClientId"], {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            there = aws("cognito-idp").describe_user_pool_client(UserPoolId=given["userPoolId"], ClientId=id_)
            client = there["UserPoolClient"]
            return {
                "explicitAuthFlows": client["ExplicitAuthFlows"],
                "readAttributes": client["ReadAttributes"],
                "writeAttributes": client["WriteAttributes"],
            }
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("cognito-idp").update_user_pool_client(ClientId=id_, **self._asked(given))
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        with _Told(_GONE):
            aws("cognito-idp").delete_user_pool_client(UserPoolId=given["userPoolId"], ClientId=id_)

    @staticmethod
    def _asked(given: Values) -> Values:
        return {
            "UserPoolId": given["userPoolId"],
            "ClientName": given["name"],
            "ExplicitAuthFlows": given["explicitAuthFlows"],
            "ReadAttributes": given["readAttributes"],
            "WriteAttributes": given["writeAttributes"],
            "PreventUserExistenceErrors": given["preventUserExistenceErrors"],
        }


class _UserGroup(Type):
    identity = ("userPoolId", "name")

    def create(self, aws: Aws, given: Values) -> Made:
        with _Told(_THERE):
            aws("cognito-idp").create_group(GroupName=given["name"], UserPoolId=given["userPoolId"])
        return f"{given['userPoolId']}/{given['name']}", {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            aws("cognito-idp").get_group(GroupName=given["name"], UserPoolId=given["userPoolId"])
            return {}
        return None

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del id_
        with _Told(_GONE):
            aws("cognito-idp").delete_group(GroupName=given["name"], UserPoolId=given["userPoolId"])


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_paths(paths: Mapping[str, Any]) -> None:
    """API Gateway knows one variable at a place: `/a/{x}` and `/a/{y}/b` cannot both be."""
    seen: dict[tuple[str, ...], str] = {}
    for path in paths:
        parts = tuple(path.split("/"))
        for depth, part in enumerate(parts):
            if part.startswith("{") and seen.setdefault(parts[:depth], part) != part:
                raise DeployError(
                    f"sibling path variables of different names: {seen[parts[:depth]]} and {part} in {path}"
                )


class _RestApi(Type):
    changes = frozenset({"body", "endpointConfiguration"})
    computed = ("executionArn",)

    def check(self, aws: Aws, given: Values) -> None:
        del aws
        if "body" in given:
            _refuse_paths(json.loads(given["body"])["paths"])

    def create(self, aws: Aws, given: Values) -> Made:
        gateway = aws("apigateway")
        api = _first(gateway.get_rest_apis(limit=500)["items"], name=given["name"])
        if api is None:
            api = gateway.create_rest_api(name=given["name"], tags=given.get("tags", {}))
        self.update(aws, api["id"], given, given)
        return api["id"], {"executionArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api['id']}"}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del given
        with _Told(_GONE):
            aws("apigateway").get_rest_api(restApiId=id_)
            return {}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del old
        aws("apigateway").put_rest_api(
            restApiId=id_, mode=given["putRestApiMode"], failOnWarnings=True, body=given["body"]
        )
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del given
        with _Told(_GONE):
            aws("apigateway").delete_rest_api(restApiId=id_)


class _ApiDeployment(Type):
    identity = ()
    replaces = frozenset({"restApi", "triggers"})

    def create(self, aws: Aws, given: Values) -> Made:
        gateway, api = aws("apigateway"), given["restApi"]
        description = json.dumps(given["triggers"], sort_keys=True)
        there = _first(gateway.get_deployments(restApiId=api)["items"], description=description)
        return (there or gateway.create_deployment(restApiId=api, description=description))["id"], {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        with _Told(_GONE):
            aws("apigateway").get_deployment(restApiId=given["restApi"], deploymentId=id_)
            return {}
        return None

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        with _Told(_GONE):
            aws("apigateway").delete_deployment(restApiId=given["restApi"], deploymentId=id_)


class _ApiStage(Type):
    identity = ("restApi", "stageName")
    changes = frozenset({"accessLogSettings", "deployment", "xrayTracingEnabled"})
    computed = ("arn", "invokeUrl")

    def create(self, aws: Aws, given: Values) -> Made:
        api, name = given["restApi"], given["stageName"]
        with _Told(_THERE) as there:
            aws("apigateway").create_stage(
                restApiId=api,
                stageName=name,
                deploymentId=given["deployment"],
                tracingEnabled=given["xrayTracingEnabled"],
                tags=given.get("tags", {}),
            )
        if there.told:
            self.update(aws, "", given, given)
        return f"ags-{api}-{name}", {
            "invokeUrl": f"https://{api}.execute-api.{REGION}.amazonaws.com/{name}",
            "arn": f"arn:aws:apigateway:{REGION}::/restapis/{api}/stages/{name}",
        }

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            there = aws("apigateway").get_stage(restApiId=given["restApi"], stageName=given["stageName"])
            return {"deployment": there["deploymentId"], "xrayTracingEnabled": there["tracingEnabled"]}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        _patch_stage(
            aws,
            given,
            {"deploymentId": given["deployment"], "tracingEnabled": json.dumps(given["xrayTracingEnabled"])},
        )
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        del id_
        with _Told(_GONE):
            aws("apigateway").delete_stage(restApiId=given["restApi"], stageName=given["stageName"])


def _patch_stage(aws: Aws, given: Values, values: Mapping[str, str]) -> None:
    aws("apigateway").update_stage(
        restApiId=given["restApi"],
        stageName=given["stageName"],
        patchOperations=[{"op": "replace", "path": f"/{path}", "value": value} for path, value in values.items()],
    )


class _ApiMethodSettings(Type):
    identity = ("restApi", "stageName", "methodPath")
    changes = frozenset({"settings"})

    def create(self, aws: Aws, given: Values) -> Made:
        self.update(aws, "", given, given)
        return f"{given['restApi']}-{given['stageName']}-{given['methodPath']}", {}

    def read(self, aws: Aws, id_: str, given: Values) -> Values | None:
        del id_
        with _Told(_GONE):
            there = aws("apigateway").get_stage(restApiId=given["restApi"], stageName=given["stageName"])
            live = there.get("methodSettings", {}).get(self._path(given))
            if live is not None:
                limits = {"rate": live["throttlingRateLimit"], "burst": live["throttlingBurstLimit"]}
                throttling = {f"throttling{name.title()}Limit": int(limit) for name, limit in limits.items()}
                return {"settings": {**given["settings"], **throttling}}
        return None

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        path, settings = self._path(given), given["settings"]
        _patch_stage(
            aws,
            given,
            {
                f"{path}/throttling/rateLimit": json.dumps(settings["throttlingRateLimit"]),
                f"{path}/throttling/burstLimit": json.dumps(settings["throttlingBurstLimit"]),
                f"{path}/metrics/enabled": json.dumps(settings["metricsEnabled"]),
            },
        )
        return {}

    def delete(self, aws: Aws, id_: str, given: Values) -> None:
        """Nothing of its own: what the stage has not as a limit is its own default again, and moto cannot take it."""

    @staticmethod
    def _path(given: Values) -> str:
        """In a patch a slash of the path itself is written ~1; the last one parts it from the method."""
        resource, _, method = given["methodPath"].rpartition("/")
        escaped = resource.replace("/", "~1")
        return f"{escaped if resource == '*' else '~1' + escaped}/{method}"


class _ApiAccount(_WithoutEffect):
    def __init__(self) -> None:
        super().__init__()

    def check(self, aws: Aws, given: Values) -> None:
        if "cloudwatchRoleArn" in given:
            aws.refuse_role(given["cloudwatchRoleArn"], "apigateway")

    def create(self, aws: Aws, given: Values) -> Made:
        self.update(aws, "", given, given)
        return "api-gateway-account", {}

    def update(self, aws: Aws, id_: str, given: Values, old: Values) -> Values:
        del id_, old
        aws("apigateway").update_account(
            patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": given["cloudwatchRoleArn"]}]
        )
        return {}


RESOURCES: Mapping[str, Type] = {
    "aws:apigateway/account:Account": _ApiAccount(),
    "aws:apigateway/deployment:Deployment": _ApiDeployment(),
    "aws:apigateway/methodSettings:MethodSettings": _ApiMethodSettings(),
    "aws:apigateway/restApi:RestApi": _RestApi(),
    "aws:apigateway/stage:Stage": _ApiStage(),
    "aws:cloudwatch/dashboard:Dashboard": _WithoutEffect("dashboardName"),
    "aws:cloudwatch/eventBus:EventBus": _EventBus(),
    "aws:cloudwatch/eventRule:EventRule": _EventRule(),
    "aws:cloudwatch/eventTarget:EventTarget": _EventTarget(),
    "aws:cloudwatch/logGroup:LogGroup": _LogGroup(),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _WithoutEffect("name", arn=f"cloudwatch:{REGION}:{ACCOUNT}:alarm"),
    "aws:cloudwatch/queryDefinition:QueryDefinition": _WithoutEffect("name"),
    "aws:cognito/userGroup:UserGroup": _UserGroup(),
    "aws:cognito/userPool:UserPool": _UserPool(),
    "aws:cognito/userPoolClient:UserPoolClient": _UserPoolClient(),
    "aws:dynamodb/table:Table": _Table(),
    "aws:iam/role:Role": _Role(),
    "aws:iam/rolePolicy:RolePolicy": _RolePolicy(),
    # AWS's own policies are not in moto unless it loads all of them.
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _WithoutEffect("role", "policyArn"),
    "aws:kms/alias:Alias": _WithoutEffect("name"),
    "aws:kms/key:Key": _Key(),
    "aws:lambda/alias:Alias": _FunctionAlias(),
    "aws:lambda/function:Function": _Function(),
    "aws:lambda/layerVersion:LayerVersion": _Layer(),
    "aws:lambda/permission:Permission": _Permission(),
    "aws:scheduler/schedule:Schedule": _Schedule(),
    "aws:sfn/alias:Alias": _StateMachineAlias(),
    "aws:sfn/stateMachine:StateMachine": _StateMachine(),
    "aws:sns/topic:Topic": _Topic(),
    "aws:sns/topicPolicy:TopicPolicy": _TopicPolicy(),
    "aws:sns/topicSubscription:TopicSubscription": _TopicSubscription(),
    "aws:ssm/parameter:Parameter": _Parameter(),
    "aws:wafv2/webAclAssociation:WebAclAssociation": _WithoutEffect("resourceArn", "webAclArn"),
}


def known(type_: str) -> Type:
    """Raises DeployError."""
    try:
        return RESOURCES[type_]
    except KeyError:
        raise DeployError("the local stack does not know this type") from None


# ── Outputs that are not given ───────────────────────────────────────────────────────────────────────────────────────

# An output that no type gives would be None in the program and vanish from what it is used in. It is this text instead,
# and whoever receives it complains.
_MISSING = re.compile(r"<missing ([^>]+)>")


# pulumi_aws makes its modules when they are first looked at, and shows half of one to a second thread.
_one_look = threading.Lock()


def missing_outputs(type_: str) -> Values:
    """For each output that the type's class declares as text: the text that stands for its not being given."""
    with _one_look:
        return _missing_outputs(type_)


@functools.cache
def _missing_outputs(type_: str) -> Values:
    module, name = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", type_).groups()  # type: ignore[union-attr]
    class_ = getattr(importlib.import_module(f"pulumi_aws.{'lambda_' if module == 'lambda' else module}"), name)
    return {
        name: f"<missing {type_}.{name}>"
        for name, declared in pulumi_types.resource_types(class_).items()
        if declared is str
    }


def refuse_missing(where: str, values: Values) -> None:
    """Raises DeployError where a value is, or is made of, an output that is not given."""
    if missing := _MISSING.search(json.dumps(values, default=str)):
        raise DeployError(f"{where} uses {missing[1]}, which the local stack does not give")


def plain(value: Any) -> Any:
    """Without the wrapping of secrets, and with the integers that the wire made floats."""
    match value:
        case pulumi.Output():
            raise DeployError("an unresolved output arrived at the engine")
        case {"4dabf18193072939515e22adb298388d": _, "value": secret}:
            return plain(secret)
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


# ── Look-ups ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _look_up_table(aws: Aws, given: Values) -> Values:
    return {"name": given["name"], "arn": aws("dynamodb").describe_table(TableName=given["name"])["Table"]["TableArn"]}


_LOOK_UPS: Mapping[str, Callable[[Aws, Values], Values]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": lambda _aws, _given: {"accountId": ACCOUNT, "id": ACCOUNT},
    "aws:index/getRegion:getRegion": lambda _aws, _given: {"region": REGION, "id": REGION},
    "aws:dynamodb/getTable:getTable": _look_up_table,
}


def look_up(aws: Aws, token: str, given: Values) -> Values:
    """What an invoke of the program answers. Raises DeployError for one that is not known."""
    if token not in _LOOK_UPS:
        raise DeployError(f"{token}: the local stack does not know this look-up")
    return _LOOK_UPS[token](aws, given)
