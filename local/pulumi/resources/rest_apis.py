"""API Gateway: REST APIs, their deployments, stages and throttling."""

import json
import re
from collections.abc import Mapping
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
    first_match,
    ignoring,
)
from local.pulumi.resources.state_only import StateOnly


def _check_paths(paths: Mapping[str, Any]) -> None:
    """Raises DeployError for `/a/{x}` beside `/a/{y}/b`: API Gateway wants one variable name at one place."""
    seen: dict[tuple[str, ...], str] = {}
    for path in paths:
        parts = tuple(path.split("/"))
        for depth, part in enumerate(parts):
            if part.startswith("{") and seen.setdefault(parts[:depth], part) != part:
                raise DeployError(
                    f"sibling path variables of different names: {seen[parts[:depth]]} and {part} in {path}"
                )


class RestApi(ResourceType):
    updatable = frozenset({"body", "endpointConfiguration"})
    computed = ("executionArn",)

    def check(self, aws: AwsClients, inputs: Values) -> None:
        if "body" in inputs:
            _check_paths(json.loads(inputs["body"])["paths"])

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        gateway = aws.client("apigateway")
        api = first_match(gateway.get_rest_apis(limit=500)["items"], name=inputs["name"])
        if api is None:
            api = gateway.create_rest_api(name=inputs["name"], tags=inputs.get("tags", {}))
        self.update(aws, api["id"], inputs, inputs)
        return api["id"], {"executionArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api['id']}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            aws.client("apigateway").get_rest_api(restApiId=id_)
            return {}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("apigateway").put_rest_api(
            restApiId=id_, mode=inputs["putRestApiMode"], failOnWarnings=True, body=inputs["body"]
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("apigateway").delete_rest_api(restApiId=id_)


class Deployment(ResourceType):
    identity = ()
    replaces = frozenset({"restApi", "triggers"})

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        gateway, api = aws.client("apigateway"), inputs["restApi"]
        description = json.dumps(inputs["triggers"], sort_keys=True)
        found = first_match(gateway.get_deployments(restApiId=api)["items"], description=description)
        return (found or gateway.create_deployment(restApiId=api, description=description))["id"], {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            aws.client("apigateway").get_deployment(restApiId=inputs["restApi"], deploymentId=id_)
            return {}
        return None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("apigateway").delete_deployment(restApiId=inputs["restApi"], deploymentId=id_)


class Stage(ResourceType):
    identity = ("restApi", "stageName")
    updatable = frozenset({"accessLogSettings", "deployment", "xrayTracingEnabled"})
    computed = ("arn", "invokeUrl")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        api, name = inputs["restApi"], inputs["stageName"]
        with ignoring(ALREADY_EXISTS) as create:
            aws.client("apigateway").create_stage(
                restApiId=api,
                stageName=name,
                deploymentId=inputs["deployment"],
                tracingEnabled=inputs["xrayTracingEnabled"],
                tags=inputs.get("tags", {}),
            )
        if create.ignored:
            self.update(aws, "", inputs, inputs)
        return f"ags-{api}-{name}", {
            "invokeUrl": f"https://{api}.execute-api.{REGION}.amazonaws.com/{name}",
            "arn": f"arn:aws:apigateway:{REGION}::/restapis/{api}/stages/{name}",
        }

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("apigateway").get_stage(restApiId=inputs["restApi"], stageName=inputs["stageName"])
            return {"deployment": found["deploymentId"], "xrayTracingEnabled": found["tracingEnabled"]}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        _patch_stage(
            aws,
            inputs,
            {"deploymentId": inputs["deployment"], "tracingEnabled": json.dumps(inputs["xrayTracingEnabled"])},
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("apigateway").delete_stage(restApiId=inputs["restApi"], stageName=inputs["stageName"])


def _patch_stage(aws: AwsClients, inputs: Values, values: Mapping[str, str]) -> None:
    aws.client("apigateway").update_stage(
        restApiId=inputs["restApi"],
        stageName=inputs["stageName"],
        patchOperations=[{"op": "replace", "path": f"/{path}", "value": value} for path, value in values.items()],
    )


class MethodSettings(ResourceType):
    identity = ("restApi", "stageName", "methodPath")
    updatable = frozenset({"settings"})

    def check(self, aws: AwsClients, inputs: Values) -> None:
        """API Gateway stores any other key under the escaped one, which the provider then does not find."""
        path = inputs.get("methodPath", "*/*")
        if path != "*/*" and not re.fullmatch(r"~1[^/]*/[A-Z]+", path):
            raise DeployError(f"method path {path!r}: each slash of the resource's path must be written ~1")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        self.update(aws, "", inputs, inputs)
        return f"{inputs['restApi']}-{inputs['stageName']}-{inputs['methodPath']}", {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("apigateway").get_stage(restApiId=inputs["restApi"], stageName=inputs["stageName"])
            live = found.get("methodSettings", {}).get(inputs["methodPath"])
            if live is not None:
                limits = {"rate": live["throttlingRateLimit"], "burst": live["throttlingBurstLimit"]}
                throttling = {f"throttling{name.title()}Limit": int(limit) for name, limit in limits.items()}
                return {"settings": {**inputs["settings"], **throttling}}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        path, settings = inputs["methodPath"], inputs["settings"]
        _patch_stage(
            aws,
            inputs,
            {
                f"{path}/throttling/rateLimit": json.dumps(settings["throttlingRateLimit"]),
                f"{path}/throttling/burstLimit": json.dumps(settings["throttlingBurstLimit"]),
                f"{path}/metrics/enabled": json.dumps(settings["metricsEnabled"]),
            },
        )
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        """Does nothing: moto cannot remove method settings, and they disappear with their stage."""


class Account(StateOnly):
    def __init__(self) -> None:
        super().__init__()

    def check(self, aws: AwsClients, inputs: Values) -> None:
        if "cloudwatchRoleArn" in inputs:
            aws.require_trust(inputs["cloudwatchRoleArn"], "apigateway")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        self.update(aws, "", inputs, inputs)
        return "api-gateway-account", {}

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("apigateway").update_account(
            patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": inputs["cloudwatchRoleArn"]}]
        )
        return {}


class DomainName(StateOnly):
    """The local stack is served at its own address only."""

    def __init__(self) -> None:
        super().__init__("domainName")
        self.computed = ("regionalDomainName",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        return inputs["domainName"], {"regionalDomainName": f"d-abcdef1234.execute-api.{REGION}.amazonaws.com"}
