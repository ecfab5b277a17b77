"""IAM on this machine: each call of a function or state machine against the role that the program gives it.

What a role does not allow is refused as AWS refuses it, in every run; what each role has used is kept, so that a test
finds the permissions that nobody needs (tests/permissions). The policies are evaluated by moto's evaluator.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.iam.access_control import IAMPolicy, PermissionResult

from local import engine
from local.deployer import Deployment

type Json = dict[str, Any]
type Refusal = tuple[int, dict[str, str], str]

_PREFIX = f"{engine.REGION}:{engine.ACCOUNT}"
_QUALIFIER = "states:StateMachineQualifier"


@dataclass(frozen=True)
class Call:
    """What IAM is asked about one request, or about one item of a transaction; `qualifier` of a state machine."""

    action: str
    resource: str
    qualifier: str = ""


@dataclass(frozen=True)
class Permission:
    """One action on one resource, of a statement of a role."""

    action: str
    resource: str
    condition: str | None = None

    def allows(self, call: Call) -> bool:
        statement: Json = {"Effect": "Allow", "Action": [self.action], "Resource": [self.resource]}
        if self.condition is not None:
            statement["Condition"] = json.loads(self.condition)
        return _permits(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), call)


class Permissions:
    """The roles of a deployment, by name, and the calls made under each."""

    def __init__(self, deployment: Deployment) -> None:
        self.policies = {
            resource.inputs["role"]: resource.inputs["policy"]
            for resource in deployment.of_type("aws:iam/rolePolicy:RolePolicy")
        }
        self._roles: dict[str, str] = {}
        for function in deployment.of_type("aws:lambda/function:Function"):
            module = function.inputs["handler"].split(".")[1]
            self._roles[module] = function.inputs["role"].rpartition("/")[2]
        for machine in deployment.of_type("aws:sfn/stateMachine:StateMachine"):
            self._roles[machine.inputs["name"]] = machine.inputs["roleArn"].rpartition("/")[2]
        self.calls: dict[str, set[Call]] = {role: set() for role in self.policies}
        self._answers: dict[tuple[str, Call], bool] = {}
        self._lock = threading.Lock()

    def check(self, caller: str, operation: str, request: Any) -> Refusal | None:
        """How AWS would refuse the request (`dynamodb.UpdateItem`) of a function's module or of a state machine."""
        role = self._roles[caller]
        for call in asked(operation, request):
            with self._lock:
                self.calls[role].add(call)
                allowed = self._answers.get((role, call))
                if allowed is None:
                    allowed = self._answers[role, call] = _permits(self.policies[role], call)
            if not allowed:
                return _refusal(operation, role, call)
        return None

    def permissions(self, role: str) -> list[Permission]:
        return sorted(_listed(json.loads(self.policies[role])), key=lambda p: (p.resource, p.action))


def _permits(policy: str, call: Call) -> bool:
    permitted = IAMPolicy(policy).is_action_permitted(
        call.action, call.resource, incoming_condition_values={_QUALIFIER: call.qualifier}
    )
    return permitted is PermissionResult.PERMITTED


def _listed(policy: Json) -> Iterator[Permission]:
    for statement in policy["Statement"]:
        condition = json.dumps(statement["Condition"]) if "Condition" in statement else None
        for resource in statement["Resource"]:
            for action in statement["Action"]:
                yield Permission(action, resource, condition)


# From a request to what IAM is asked: the API's names are not always the actions'.


def asked(operation: str, request: Any) -> list[Call]:
    """Raises KeyError for an operation that nobody has looked up in AWS's list of actions."""
    service, _, name = operation.partition(".")
    if service == "lambda":
        return _LAMBDA[name](unquote(request.url.partition("/functions/")[2].partition("/")[0]))
    body = request.body.decode() if isinstance(request.body, bytes) else request.body
    if service == "sns":
        return _SNS[name]({key: values[0] for key, values in parse_qs(body).items()} if isinstance(body, str) else body)
    return _JSON[operation](json.loads(body))


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{_PREFIX}:table/{name}"


def _on_table(action: str) -> Callable[[Json], list[Call]]:
    return lambda body: [Call(f"dynamodb:{action}", _table(body["TableName"]))]


def _query(body: Json) -> list[Call]:
    return [Call("dynamodb:Query", f"{_table(body['TableName'])}/index/{body['IndexName']}")]


def _batch_get(body: Json) -> list[Call]:
    return [Call("dynamodb:BatchGetItem", _table(name)) for name in body["RequestItems"]]


# A transaction asks for the permission of each of its items, not for one of its own.
_TRANSACTED = {"Update": "UpdateItem", "Put": "PutItem", "ConditionCheck": "ConditionCheckItem"}


def _transact(body: Json) -> list[Call]:
    return [
        Call(f"dynamodb:{_TRANSACTED[kind]}", _table(item["TableName"]))
        for operation in body["TransactItems"]
        for kind, item in operation.items()
    ]


def _start(body: Json) -> list[Call]:
    """A call through an alias is authorised on the machine's own ARN."""
    parts = body["stateMachineArn"].split(":")
    return [Call("states:StartExecution", ":".join(parts[:7]), "".join(parts[7:]))]


def _resume(body: Json) -> list[Call]:
    # A token that never was one is refused for that.
    machine = engine.machine_of_token(body["taskToken"])
    return [] if machine is None else [Call("states:SendTaskSuccess", machine)]


_JSON: Mapping[str, Callable[[Json], list[Call]]] = {
    "dynamodb.GetItem": _on_table("GetItem"),
    "dynamodb.PutItem": _on_table("PutItem"),
    "dynamodb.UpdateItem": _on_table("UpdateItem"),
    "dynamodb.BatchGetItem": _batch_get,
    "dynamodb.Query": _query,
    "dynamodb.TransactWriteItems": _transact,
    "ssm.GetParameter": lambda body: [Call("ssm:GetParameter", f"arn:aws:ssm:{_PREFIX}:parameter{body['Name']}")],
    "sfn.StartExecution": _start,
    "sfn.SendTaskSuccess": _resume,
    "sfn.DescribeExecution": lambda body: [Call("states:DescribeExecution", body["executionArn"])],
    "eventbridge.PutEvents": lambda body: [
        Call("events:PutEvents", f"arn:aws:events:{_PREFIX}:event-bus/{entry['EventBusName']}")
        for entry in body["Entries"]
    ],
}
_SNS: Mapping[str, Callable[[Json], list[Call]]] = {
    "Publish": lambda body: [Call("sns:Publish", body["TopicArn"])],
}
_LAMBDA: Mapping[str, Callable[[str], list[Call]]] = {
    "Invoke": lambda function_arn: [Call("lambda:InvokeFunction", function_arn)],
}


def _refusal(operation: str, role: str, call: Call) -> Refusal:
    who = f"arn:aws:sts::{engine.ACCOUNT}:assumed-role/{role}/local"
    message = (
        f"User: {who} is not authorized to perform: {call.action} on resource: {call.resource} because no "
        f"identity-based policy allows the {call.action} action"
    )
    headers = {"x-amzn-requestid": str(uuid.uuid4()), "x-amzn-errortype": "AccessDeniedException"}
    if operation.startswith("sns."):
        error = f"<Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>{message}</Message></Error>"
        return (
            403,
            headers,
            f"<ErrorResponse>{error}<RequestId>{headers['x-amzn-requestid']}</RequestId></ErrorResponse>",
        )
    status = 403 if operation.startswith("lambda.") else 400
    return status, headers, json.dumps({"__type": "AccessDeniedException", "message": message, "Message": message})
