"""IAM of the local stack: checks each call of a function or state machine against its deployed role.

A call that the role does not allow is refused as AWS refuses it, in every run. The calls of each role are recorded, so
that tests/infra/test_least_privilege.py finds permissions that are not needed. moto evaluates the policies.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.iam.access_control import IAMPolicy, PermissionResult

from local.aws import emulator
from local.pulumi.deployer import Deployment

type Json = dict[str, Any]
type Refusal = tuple[int, dict[str, str], str]

_PREFIX = f"{emulator.REGION}:{emulator.ACCOUNT}"
_BUCKET_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_QUALIFIER = "states:StateMachineQualifier"


@dataclass(frozen=True)
class Call:
    """What IAM decides about: a request, or one item of a transaction; `qualifier` is that of a state machine."""

    operation: str
    action: str
    resource: str
    qualifier: str = ""


@dataclass(frozen=True)
class Permission:
    """One action on one resource, from a statement of a role's policy."""

    action: str
    resource: str
    condition: str | None = None

    def allows(self, call: Call) -> bool:
        statement: Json = {"Effect": "Allow", "Action": [self.action], "Resource": [self.resource]}
        if self.condition is not None:
            statement["Condition"] = json.loads(self.condition)
        return _permits(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), call)


class Permissions:
    """The roles of a deployment, by name, and the calls made with each."""

    def __init__(self, deployment: Deployment) -> None:
        self.calls: dict[str, set[Call]] = {}
        self._lock = threading.Lock()
        self.redeploy(deployment)

    def redeploy(self, deployment: Deployment) -> None:
        """Use the roles of another deployment from now on."""
        self.policies = {
            resource.inputs["role"]: resource.inputs["policy"]
            for resource in deployment.of_type("aws:iam/rolePolicy:RolePolicy")
        }
        roles: dict[str, str] = {}
        for function in deployment.of_type("aws:lambda/function:Function"):
            module = function.inputs["handler"].split(".")[1]
            roles[module] = function.inputs["role"].rpartition("/")[2]
        for machine in deployment.of_type("aws:sfn/stateMachine:StateMachine"):
            roles[machine.inputs["name"]] = machine.inputs["roleArn"].rpartition("/")[2]
        self._roles = roles
        self._keys = _keys_of(deployment)
        with self._lock:
            self.calls |= {role: set() for role in self.policies.keys() - self.calls.keys()}
            self._decisions: dict[tuple[str, Call], bool] = {}

    def check(self, caller: str, operation: str, request: Any) -> Refusal | None:
        """The refusal of a request of a function's module or a state machine; None if it is allowed."""
        role = self._roles[caller]
        for call in calls_of(operation, request):
            with self._lock:
                self.calls[role].add(call)
                allowed = self._decisions.get((role, call))
                if allowed is None:
                    allowed = self._decisions[role, call] = _permits(self.policies[role], call)
            if not allowed:
                return _refusal(operation, role, call)
            if missing := self._missing_use_of_key(role, call):
                return _refusal(operation, role, missing)
        return None

    def _missing_use_of_key(self, role: str, call: Call) -> Call | None:
        """The use of a customer's key that the call needs and the role may not make, through the service called."""
        service = call.action.partition(":")[0]
        names = re.split("[:/]", call.resource)
        key = next((self._keys[service, name] for name in names if (service, name) in self._keys), None)
        if key is None:
            return None
        through = f"{service}.{emulator.REGION}.amazonaws.com"
        allowed = {
            action
            for statement in json.loads(self.policies[role])["Statement"]
            if statement["Resource"] == [key]
            and through in statement["Condition"].get("StringEquals", {}).get("kms:ViaService", [])
            for action in statement["Action"]
        }
        missing = sorted({"kms:Decrypt", "kms:GenerateDataKey"} - allowed)
        return Call(call.operation, missing[0], key) if missing else None

    @staticmethod
    def listed(policy: Mapping[str, Any]) -> Iterator[Permission]:
        """The statements of a policy, as single actions on single resources."""
        for statement in policy["Statement"]:
            condition = json.dumps(statement["Condition"]) if "Condition" in statement else None
            for resource in statement["Resource"]:
                for action in statement["Action"]:
                    yield Permission(action, resource, condition)


def _keys_of(deployment: Deployment) -> dict[tuple[str, str], str]:
    """By service and name, the customer's key with which a table, topic or state machine is encrypted, if any."""
    types = {
        "dynamodb": "aws:dynamodb/table:Table",
        "sns": "aws:sns/topic:Topic",
        "states": "aws:sfn/stateMachine:StateMachine",
    }
    keys = {
        (service, resource.inputs["name"]): resource.inputs.get("kmsMasterKeyId")
        or resource.inputs.get("serverSideEncryption", {}).get("kmsKeyArn")
        or resource.inputs.get("encryptionConfiguration", {}).get("kmsKeyId")
        for service, type_ in types.items()
        for resource in deployment.of_type(type_)
    }
    for resource in deployment.of_type(_BUCKET_ENCRYPTION):
        (rule,) = resource.inputs["rules"]
        keys["s3", resource.inputs["bucket"]] = rule["applyServerSideEncryptionByDefault"].get("kmsMasterKeyId")
    return {named: key for named, key in keys.items() if key}


def _permits(policy: str, call: Call) -> bool:
    permitted = IAMPolicy(policy).is_action_permitted(
        call.action, call.resource, incoming_condition_values={_QUALIFIER: call.qualifier}
    )
    return permitted is PermissionResult.PERMITTED


# Action, resource and, for a state machine, its qualifier. The action is not always named like the operation.
type _Check = tuple[str, str] | tuple[str, str, str]


def calls_of(operation: str, request: Any) -> list[Call]:
    """Raises KeyError for an operation that is missing in `_ACTIONS`."""
    service = operation.partition(".")[0]
    body = request.body.decode() if isinstance(request.body, bytes) else request.body
    if service == "lambda":
        given: Json = {"FunctionName": unquote(request.url.partition("/functions/")[2].partition("/")[0])}
    elif service == "sns":
        given = body if isinstance(body, dict) else {key: values[0] for key, values in parse_qs(body).items()}
    elif service == "s3":
        url = urlsplit(request.url)
        given = {"Bucket": url.netloc.partition(".")[0], "Key": unquote(url.path).removeprefix("/")}
    else:
        given = json.loads(body)
    return [Call(operation, *check) for check in _ACTIONS[operation](given)]


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{_PREFIX}:table/{name}"


def _item(action: str) -> Callable[[Json], list[_Check]]:
    return lambda given: [(f"dynamodb:{action}", _table(given["TableName"]))]


def _queried(given: Json) -> str:
    index = given.get("IndexName")
    return _table(given["TableName"]) + (f"/index/{index}" if index else "")


def _object(action: str) -> Callable[[Json], list[_Check]]:
    return lambda given: [(f"s3:{action}", f"arn:aws:s3:::{given['Bucket']}/{given['Key']}")]


# A transaction needs the permission of each of its items, and none of its own.
_TRANSACTED = {"Update": "UpdateItem", "Put": "PutItem", "ConditionCheck": "ConditionCheckItem"}


def _transact(given: Json) -> list[_Check]:
    return [
        (f"dynamodb:{_TRANSACTED[kind]}", _table(item["TableName"]))
        for operation in given["TransactItems"]
        for kind, item in operation.items()
    ]


def _start(given: Json) -> list[_Check]:
    """A call through an alias is authorized on the state machine's own ARN."""
    parts = given["stateMachineArn"].split(":")
    return [("states:StartExecution", ":".join(parts[:7]), "".join(parts[7:]))]


def _resume(given: Json) -> list[_Check]:
    # An unknown token is refused by Step Functions itself.
    machine = emulator.machine_of_token(given["taskToken"])
    return [] if machine is None else [("states:SendTaskSuccess", machine)]


_ACTIONS: Mapping[str, Callable[[Json], list[_Check]]] = {
    "dynamodb.GetItem": _item("GetItem"),
    "dynamodb.PutItem": _item("PutItem"),
    "dynamodb.UpdateItem": _item("UpdateItem"),
    "dynamodb.BatchGetItem": lambda given: [("dynamodb:BatchGetItem", _table(name)) for name in given["RequestItems"]],
    "dynamodb.Query": lambda given: [("dynamodb:Query", _queried(given))],
    "dynamodb.TransactWriteItems": _transact,
    "s3.DeleteObject": _object("DeleteObject"),
    "s3.GetObject": _object("GetObject"),
    "s3.ListObjectsV2": lambda given: [("s3:ListBucket", f"arn:aws:s3:::{given['Bucket']}")],
    "s3.PutObject": _object("PutObject"),
    "ssm.GetParameter": lambda given: [("ssm:GetParameter", f"arn:aws:ssm:{_PREFIX}:parameter{given['Name']}")],
    "sfn.StartExecution": _start,
    "sfn.SendTaskSuccess": _resume,
    "sfn.DescribeExecution": lambda given: [("states:DescribeExecution", given["executionArn"])],
    "sfn.GetExecutionHistory": lambda given: [("states:GetExecutionHistory", given["executionArn"])],
    "eventbridge.PutEvents": lambda given: [
        ("events:PutEvents", f"arn:aws:events:{_PREFIX}:event-bus/{entry['EventBusName']}")
        for entry in given["Entries"]
    ],
    "sns.GetTopicAttributes": lambda given: [("sns:GetTopicAttributes", given["TopicArn"])],
    "sns.Publish": lambda given: [("sns:Publish", given["TopicArn"])],
    "lambda.Invoke": lambda given: [("lambda:InvokeFunction", given["FunctionName"])],
}


def _refusal(operation: str, role: str, call: Call) -> Refusal:
    principal = f"arn:aws:sts::{emulator.ACCOUNT}:assumed-role/{role}/local"
    message = (
        f"User: {principal} is not authorized to perform: {call.action} on resource: {call.resource} because no "
        f"identity-based policy allows the {call.action} action"
    )
    headers = {"x-amzn-requestid": str(uuid.uuid4()), "x-amzn-errortype": "AccessDeniedException"}
    if operation.startswith("sns."):
        error = f"<Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>{message}</Message></Error>"
        request_id = f"<RequestId>{headers['x-amzn-requestid']}</RequestId>"
        return 403, headers, f"<ErrorResponse>{error}{request_id}</ErrorResponse>"
    if operation.startswith("s3."):
        return 403, headers, f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
    status = 403 if operation.startswith("lambda.") else 400
    return status, headers, json.dumps({"__type": "AccessDeniedException", "message": message, "Message": message})
