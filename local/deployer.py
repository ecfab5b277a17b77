"""Applies the Pulumi program to the in-process AWS, without the Pulumi engine.

`__main__.py` runs on Pulumi's mocks, and each resource it registers is made in moto by the function which the table
RESOURCES names for its type. What the table does not know stops the deployment, and so does an output that the program
uses and the function does not give.
"""

import asyncio
import functools
import importlib
import io
import json
import os
import re
import runpy
import threading
import uuid
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3
import pulumi
import yaml
from pulumi import _types as pulumi_types
from pulumi.runtime import mocks, settings

import shared.settings

PROJECT = "booking-payments"
STACK = "local"
REGION = "eu-west-1"
ACCOUNT = "123456789012"
_ROOT = Path(__file__).parent.parent

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


@dataclass(frozen=True)
class Deployment:
    """What a deployment left: `openapi` and `stage` are the REST API's, `environment` all functions' together."""

    outputs: Values
    resources: list[Resource]
    openapi: Values = field(default_factory=dict)
    stage: Values = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def of_type(self, type_: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == type_]


def deploy(config: Mapping[str, str | int], secrets: Mapping[str, str], stack: str = STACK) -> Deployment:
    """Runs `__main__.py` against moto, which must be active, and sets the functions' environment in this process.

    `config` (keys without the project's name) wins over Pulumi.{stack}.yaml; `secrets` are secret configuration.
    May be called again once moto was reset. Raises DeployError, or what the program itself raises.
    """
    project = {f"{PROJECT}:{key}": str(value) for key, value in {**config, **secrets}.items()}
    stack_file = yaml.safe_load((_ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    outcome: list[Deployment | BaseException] = []

    def run() -> None:
        # Pulumi keeps its state in context variables and in the event loop; a thread begins without either.
        loops = [asyncio.new_event_loop()]
        asyncio.set_event_loop(loops[0])

        def begin() -> None:
            # Pulumi's mocks would give each of these threads a loop that nobody closes.
            loops.append(asyncio.new_event_loop())
            asyncio.set_event_loop(loops[-1])

        workers = ThreadPoolExecutor(initializer=begin)
        loops[0].set_default_executor(workers)
        try:
            pulumi.runtime.set_all_config({**stack_file, **project}, [f"{PROJECT}:{key}" for key in secrets])
            outcome.append(_run_program(stack))
        except BaseException as error:  # noqa: BLE001  raised below, in the caller's thread
            outcome.append(error)
        finally:
            workers.shutdown()
            for loop in loops:
                loop.close()

    thread = threading.Thread(target=run, name="deployer")
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, BaseException):
        raise result
    os.environ.update(result.environment)
    shared.settings.settings.cache_clear()
    shared.settings.starter_settings.cache_clear()
    return result


def _run_program(stack: str) -> Deployment:
    engine = _Engine()
    mocks.set_mocks(engine, project=PROJECT, stack=stack, preview=False, monitor=_Monitor(engine))
    outputs: Values = {}

    def program() -> pulumi.Output[None]:
        runpy.run_path(str(_ROOT / "__main__.py"), run_name="__main__")
        root = cast("pulumi.runtime.stack.Stack", settings.get_root_resource())
        return pulumi.Output.from_input(root.outputs).apply(outputs.update)

    mocks.test(program)()  # type: ignore[no-untyped-call]
    engine.refuse_missing("the stack's outputs", outputs)
    return Deployment(
        outputs=outputs,
        resources=engine.resources,
        openapi=_openapi(engine.resources),
        stage=_stage(engine.resources),
        environment=_environment(engine.resources),
    )


class _Engine(mocks.Mocks):
    """Pulumi's side: what the program registers arrives here, from several threads."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []
        self.protected: set[tuple[str, str]] = set()
        self._aws = _Aws()
        self._lock = threading.RLock()

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = _plain(args.inputs)
        if not args.custom:
            return None, inputs
        self.refuse_missing(f"{args.typ} {args.name!r}", inputs)
        with self._lock:
            make = RESOURCES.get(args.typ)
            if make is None:
                raise DeployError(f"{args.typ} {args.name!r}: the local stack does not know this type")
            try:
                id_, computed = make(self._aws, inputs)
            except Exception as error:
                raise DeployError(f"{args.typ} {args.name!r}: {error}") from error
            protect = (args.typ, args.name) in self.protected
            self.resources.append(Resource(args.typ, args.name, inputs, protect))
        return id_, {**_missing_outputs(args.typ), **inputs, **computed}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        look_up = LOOK_UPS.get(args.token)
        if look_up is None:
            raise DeployError(f"{args.token}: the local stack does not know this look-up")
        with self._lock:
            return look_up(self._aws, _plain(args.args)), []

    def refuse_missing(self, where: str, values: Values) -> None:
        if missing := _MISSING.search(json.dumps(values, default=str)):
            raise DeployError(f"{where} uses {missing[1]}, which the local stack does not give")


class _Monitor(mocks.MockMonitor):
    """Sees of a registration what the mocks are not told."""

    def __init__(self, engine: _Engine) -> None:
        super().__init__(engine)
        self._engine = engine

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
        if request.protect:
            self._engine.protected.add((request.type, request.name))
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


# An output that the mocks do not return would be None in the program and vanish from what it is used in. It is this
# text instead, and whoever receives it complains.
_MISSING = re.compile(r"<missing ([^>]+)>")


@functools.cache
def _missing_outputs(type_: str) -> Values:
    module, name = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", type_).groups()  # type: ignore[union-attr]
    class_ = getattr(importlib.import_module(f"pulumi_aws.{'lambda_' if module == 'lambda' else module}"), name)
    return {
        name: f"<missing {type_}.{name}>"
        for name, declared in pulumi_types.resource_types(class_).items()
        if declared is str
    }


def _plain(value: Any) -> Any:
    """Without the wrapping of secrets, and with the integers that the wire made floats."""
    match value:
        case pulumi.Output():
            raise DeployError("an unresolved output arrived at the engine")
        case {"4dabf18193072939515e22adb298388d": _, "value": secret}:
            return _plain(secret)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


# ── What there is for the gateway and for the functions ──────────────────────────────────────────────────────────────


def _only(resources: list[Resource], type_: str) -> Values:
    (resource,) = (resource for resource in resources if resource.type == type_)
    return resource.inputs


def _openapi(resources: list[Resource]) -> Values:
    document: Values = json.loads(_only(resources, "aws:apigateway/restApi:RestApi")["body"])
    return document


def _stage(resources: list[Resource]) -> Values:
    (throttling,) = [
        resource.inputs["settings"]
        for resource in resources
        if resource.type == "aws:apigateway/methodSettings:MethodSettings" and resource.inputs["methodPath"] == "*/*"
    ]
    return {
        "name": _only(resources, "aws:apigateway/stage:Stage")["stageName"],
        "throttling": {"rate": throttling["throttlingRateLimit"], "burst": throttling["throttlingBurstLimit"]},
    }


def _environment(resources: list[Resource]) -> dict[str, str]:
    """One environment for the handlers, which all run in this process."""
    merged = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    for resource in resources:
        if resource.type == "aws:lambda/function:Function":
            for key, value in resource.inputs["environment"]["variables"].items():
                if merged.setdefault(key, value) != value:
                    raise DeployError(f"{resource.name}: another function has another {key}")
    return merged


# ── Resource types ───────────────────────────────────────────────────────────────────────────────────────────────────


class _Aws:
    """The in-process AWS, one client a service."""

    @functools.cache  # noqa: B019  as long-lived as the deployment
    def __call__(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


def _tags(inputs: Values) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()]


def _table(aws: _Aws, given: Values) -> Made:
    def keys(schema: list[Values]) -> list[dict[str, str]]:
        return [{"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in schema]

    dynamodb, name = aws("dynamodb"), given["name"]
    indexes = [
        {
            "IndexName": index["name"],
            "KeySchema": keys(index["keySchemas"]),
            "Projection": {"ProjectionType": index["projectionType"]},
        }
        for index in given.get("globalSecondaryIndexes", [])
    ]
    made = dynamodb.create_table(
        TableName=name,
        BillingMode=given["billingMode"],
        KeySchema=keys([{"attributeName": given["hashKey"], "keyType": "HASH"}]),
        AttributeDefinitions=[{"AttributeName": a["name"], "AttributeType": a["type"]} for a in given["attributes"]],
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        SSESpecification={"Enabled": given["serverSideEncryption"]["enabled"]},
        Tags=_tags(given),
    )
    if "ttl" in given:
        ttl = {"AttributeName": given["ttl"]["attributeName"], "Enabled": given["ttl"]["enabled"]}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    dynamodb.update_continuous_backups(
        TableName=name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": given["pointInTimeRecovery"]["enabled"]},
    )
    return name, {"arn": made["TableDescription"]["TableArn"]}


def _parameter(aws: _Aws, given: Values) -> Made:
    name = given["name"]
    aws("ssm").put_parameter(Name=name, Value=given["value"], Type=given["type"], Tags=_tags(given))
    return name, {"arn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"}


def _topic(aws: _Aws, given: Values) -> Made:
    arn = aws("sns").create_topic(Name=given["name"], Tags=_tags(given))["TopicArn"]
    return arn, {"arn": arn}


def _topic_policy(aws: _Aws, given: Values) -> Made:
    aws("sns").set_topic_attributes(TopicArn=given["arn"], AttributeName="Policy", AttributeValue=given["policy"])
    return given["arn"], {}


def _topic_subscription(aws: _Aws, given: Values) -> Made:
    made = aws("sns").subscribe(TopicArn=given["topic"], Protocol=given["protocol"], Endpoint=given["endpoint"])
    return made["SubscriptionArn"], {"arn": made["SubscriptionArn"]}


def _event_bus(aws: _Aws, given: Values) -> Made:
    arn = aws("events").create_event_bus(Name=given["name"], Tags=_tags(given))["EventBusArn"]
    return given["name"], {"arn": arn}


def _event_rule(aws: _Aws, given: Values) -> Made:
    made = aws("events").put_rule(Name=given["name"], EventPattern=given["eventPattern"], Tags=_tags(given))
    return given["name"], {"arn": made["RuleArn"]}


def _event_target(aws: _Aws, given: Values) -> Made:
    target = {"Id": given["targetId"], "Arn": given["arn"]}
    if transformer := given.get("inputTransformer"):
        target["InputTransformer"] = {
            "InputPathsMap": transformer["inputPaths"],
            "InputTemplate": transformer["inputTemplate"],
        }
    aws("events").put_targets(Rule=given["rule"], Targets=[target])
    return f"{given['rule']}-{given['targetId']}", {}


def _schedule(aws: _Aws, given: Values) -> Made:
    target = given["target"]
    made = aws("scheduler").create_schedule(
        Name=given["name"],
        ScheduleExpression=given["scheduleExpression"],
        FlexibleTimeWindow={"Mode": given["flexibleTimeWindow"]["mode"]},
        Target={
            "Arn": target["arn"],
            "RoleArn": target["roleArn"],
            "Input": target["input"],
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": target["retryPolicy"]["maximumEventAgeInSeconds"],
                "MaximumRetryAttempts": target["retryPolicy"]["maximumRetryAttempts"],
            },
        },
    )
    return f"default/{given['name']}", {"arn": made["ScheduleArn"]}


def _log_group(aws: _Aws, given: Values) -> Made:
    name = given["name"]
    aws("logs").create_log_group(logGroupName=name, tags=given.get("tags", {}))
    aws("logs").put_retention_policy(logGroupName=name, retentionInDays=given["retentionInDays"])
    return name, {"arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"}


def _role(aws: _Aws, given: Values) -> Made:
    made = aws("iam").create_role(
        RoleName=given["name"], AssumeRolePolicyDocument=given["assumeRolePolicy"], Tags=_tags(given)
    )
    return given["name"], {"arn": made["Role"]["Arn"]}


def _role_policy(aws: _Aws, given: Values) -> Made:
    aws("iam").put_role_policy(RoleName=given["role"], PolicyName=given["name"], PolicyDocument=given["policy"])
    return f"{given['role']}:{given['name']}", {}


def _role_policy_attachment(_aws: _Aws, given: Values) -> Made:
    # AWS's own policies are not in moto unless it loads all of them
    return f"{given['role']}/{given['policyArn']}", {}


def _function(aws: _Aws, given: Values) -> Made:
    made = aws("lambda").create_function(
        FunctionName=given["name"],
        Handler=given["handler"],
        Runtime=given["runtime"],
        Architectures=given["architectures"],
        Role=given["role"],
        Timeout=given["timeout"],
        MemorySize=given["memorySize"],
        Environment={"Variables": given["environment"]["variables"]},
        TracingConfig={"Mode": given["tracingConfig"]["mode"]},
        Layers=given.get("layers", []),
        Code={"ZipFile": _EMPTY_ZIP},  # handlers run in this process, from the working tree
        Publish=given["publish"],
        Tags=given.get("tags", {}),
    )
    arn = made["FunctionArn"]
    return given["name"], {
        "arn": arn,
        "invokeArn": _invocation(arn),
        "version": made["Version"],
        "qualifiedArn": f"{arn}:{made['Version']}",
    }


def _invocation(arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


def _function_alias(aws: _Aws, given: Values) -> Made:
    arn = aws("lambda").create_alias(
        FunctionName=given["functionName"], Name=given["name"], FunctionVersion=given["functionVersion"]
    )["AliasArn"]
    return arn, {"arn": arn, "invokeArn": _invocation(arn)}


def _empty_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("empty", "")
    return buffer.getvalue()


_EMPTY_ZIP = _empty_zip()


def _layer(aws: _Aws, given: Values) -> Made:
    made = aws("lambda").publish_layer_version(
        LayerName=given["layerName"],
        CompatibleArchitectures=given["compatibleArchitectures"],
        CompatibleRuntimes=given["compatibleRuntimes"],
        Content={"ZipFile": _EMPTY_ZIP},
    )
    return made["LayerVersionArn"], {"arn": made["LayerVersionArn"]}


def _permission(aws: _Aws, given: Values) -> Made:
    id_ = given["sourceArn"].partition(":")[2].replace(":", "-").replace("/", "-").replace("*", "any")
    aws("lambda").add_permission(
        FunctionName=given["function"],
        StatementId=id_,
        Action=given["action"],
        Principal=given["principal"],
        SourceArn=given["sourceArn"],
        Qualifier=given["qualifier"],
    )
    return id_, {}


def _state_machine(aws: _Aws, given: Values) -> Made:
    logging = given["loggingConfiguration"]
    made = aws("stepfunctions").create_state_machine(
        name=given["name"],
        type=given["type"],
        definition=given["definition"],
        publish=given["publish"],
        roleArn=given["roleArn"],
        loggingConfiguration={
            "level": logging["level"],
            "includeExecutionData": logging["includeExecutionData"],
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": logging["logDestination"]}}],
        },
        tracingConfiguration=given["tracingConfiguration"],
        tags=[{"key": key, "value": value} for key, value in given.get("tags", {}).items()],
    )
    arn = made["stateMachineArn"]
    return arn, {"arn": arn, "stateMachineVersionArn": made["stateMachineVersionArn"]}


def _state_machine_alias(aws: _Aws, given: Values) -> Made:
    routing = [
        {"stateMachineVersionArn": route["stateMachineVersionArn"], "weight": route["weight"]}
        for route in given["routingConfigurations"]
    ]
    made = aws("stepfunctions").create_state_machine_alias(name=given["name"], routingConfiguration=routing)
    return made["stateMachineAliasArn"], {"arn": made["stateMachineAliasArn"]}


def _user_pool(aws: _Aws, given: Values) -> Made:
    made = aws("cognito-idp").create_user_pool(
        PoolName=given["name"],
        UsernameAttributes=given["usernameAttributes"],
        AutoVerifiedAttributes=given["autoVerifiedAttributes"],
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
    return made["Id"], {"arn": made["Arn"]}


def _user_pool_client(aws: _Aws, given: Values) -> Made:
    made = aws("cognito-idp").create_user_pool_client(
        UserPoolId=given["userPoolId"],
        ClientName=given["name"],
        ExplicitAuthFlows=given["explicitAuthFlows"],
        ReadAttributes=given["readAttributes"],
        WriteAttributes=given["writeAttributes"],
        PreventUserExistenceErrors=given["preventUserExistenceErrors"],
    )
    return made["UserPoolClient"]["ClientId"], {}


def _user_group(aws: _Aws, given: Values) -> Made:
    aws("cognito-idp").create_group(GroupName=given["name"], UserPoolId=given["userPoolId"])
    return f"{given['userPoolId']}/{given['name']}", {}


def _rest_api(aws: _Aws, given: Values) -> Made:
    document = json.loads(given["body"])
    _refuse_paths(document["paths"])
    api = aws("apigateway").create_rest_api(name=given["name"], tags=given.get("tags", {}))["id"]
    aws("apigateway").put_rest_api(restApiId=api, mode=given["putRestApiMode"], failOnWarnings=True, body=given["body"])
    return api, {"executionArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}"}


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


def _api_deployment(aws: _Aws, given: Values) -> Made:
    return aws("apigateway").create_deployment(restApiId=given["restApi"])["id"], {}


def _api_stage(aws: _Aws, given: Values) -> Made:
    api, name = given["restApi"], given["stageName"]
    aws("apigateway").create_stage(
        restApiId=api,
        stageName=name,
        deploymentId=given["deployment"],
        tracingEnabled=given["xrayTracingEnabled"],
        tags=given.get("tags", {}),
    )
    return f"ags-{api}-{name}", {
        "invokeUrl": f"https://{api}.execute-api.{REGION}.amazonaws.com/{name}",
        "arn": f"arn:aws:apigateway:{REGION}::/restapis/{api}/stages/{name}",
    }


def _api_method_settings(aws: _Aws, given: Values) -> Made:
    path, settings_ = given["methodPath"], given["settings"]
    # In a patch a slash of the path itself is written ~1; the last one parts it from the method.
    resource, _, method = path.rpartition("/")
    patched = f"{resource.replace('/', '~1') if resource == '*' else '~1' + resource.replace('/', '~1')}/{method}"
    operations = {
        "throttling/rateLimit": settings_["throttlingRateLimit"],
        "throttling/burstLimit": settings_["throttlingBurstLimit"],
        "metrics/enabled": settings_["metricsEnabled"],
    }
    aws("apigateway").update_stage(
        restApiId=given["restApi"],
        stageName=given["stageName"],
        patchOperations=[
            {"op": "replace", "path": f"/{patched}/{key}", "value": json.dumps(value)}
            for key, value in operations.items()
        ],
    )
    return f"{given['restApi']}-{given['stageName']}-{path}", {}


def _api_account(aws: _Aws, given: Values) -> Made:
    aws("apigateway").update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": given["cloudwatchRoleArn"]}]
    )
    return "api-gateway-account", {}


def _metric_alarm(_aws: _Aws, given: Values) -> Made:
    return given["name"], {"arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{given['name']}"}


def _key(_aws: _Aws, _given: Values) -> Made:
    id_ = str(uuid.uuid4())
    return id_, {"keyId": id_, "arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id_}"}


def _without_effect(_aws: _Aws, given: Values) -> Made:
    return next(str(given[key]) for key in ("name", "dashboardName", "resourceArn") if key in given), {}


RESOURCES: dict[str, Callable[[_Aws, Values], Made]] = {
    "aws:apigateway/account:Account": _api_account,
    "aws:apigateway/deployment:Deployment": _api_deployment,
    "aws:apigateway/methodSettings:MethodSettings": _api_method_settings,
    "aws:apigateway/restApi:RestApi": _rest_api,
    "aws:apigateway/stage:Stage": _api_stage,
    "aws:cloudwatch/dashboard:Dashboard": _without_effect,
    "aws:cloudwatch/eventBus:EventBus": _event_bus,
    "aws:cloudwatch/eventRule:EventRule": _event_rule,
    "aws:cloudwatch/eventTarget:EventTarget": _event_target,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _metric_alarm,
    "aws:cloudwatch/queryDefinition:QueryDefinition": _without_effect,
    "aws:cognito/userGroup:UserGroup": _user_group,
    "aws:cognito/userPool:UserPool": _user_pool,
    "aws:cognito/userPoolClient:UserPoolClient": _user_pool_client,
    "aws:dynamodb/table:Table": _table,
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _role_policy_attachment,
    "aws:kms/alias:Alias": _without_effect,
    "aws:kms/key:Key": _key,
    "aws:lambda/alias:Alias": _function_alias,
    "aws:lambda/function:Function": _function,
    "aws:lambda/layerVersion:LayerVersion": _layer,
    "aws:lambda/permission:Permission": _permission,
    "aws:scheduler/schedule:Schedule": _schedule,
    "aws:sfn/alias:Alias": _state_machine_alias,
    "aws:sfn/stateMachine:StateMachine": _state_machine,
    "aws:sns/topic:Topic": _topic,
    "aws:sns/topicPolicy:TopicPolicy": _topic_policy,
    "aws:sns/topicSubscription:TopicSubscription": _topic_subscription,
    "aws:ssm/parameter:Parameter": _parameter,
    "aws:wafv2/webAclAssociation:WebAclAssociation": _without_effect,
}


def _look_up_table(aws: _Aws, given: Values) -> Values:
    return {"name": given["name"], "arn": aws("dynamodb").describe_table(TableName=given["name"])["Table"]["TableArn"]}


LOOK_UPS: dict[str, Callable[[_Aws, Values], Values]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": lambda _aws, _given: {"accountId": ACCOUNT, "id": ACCOUNT},
    "aws:index/getRegion:getRegion": lambda _aws, _given: {"region": REGION, "id": REGION},
    "aws:dynamodb/getTable:getTable": _look_up_table,
}
