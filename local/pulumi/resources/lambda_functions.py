"""Lambda: functions, their aliases and resource policies."""

import base64
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from local.aws.archives import WORKING_TREE, zipped
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


def _invoke_arn(arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


@functools.lru_cache(maxsize=8)
def _cached_archive(_hash: str, archive: str) -> bytes:
    described = json.loads(archive)
    return Path(described["path"]).read_bytes() if "path" in described else zipped(_files(described))


def _archive(code: Any) -> bytes:
    """The archive that the engine describes; the mocks pass the program's own object instead: the working tree."""
    return _cached_archive(code["hash"], json.dumps(code)) if isinstance(code, dict) else WORKING_TREE


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


class Function(ResourceType):
    updatable = frozenset(
        {"code", "environment", "handler", "layers", "loggingConfig", "memorySize", "role", "runtime", "timeout"}
    )
    computed = ("arn", "invokeArn", "qualifiedArn", "version")
    recomputed = ("qualifiedArn", "version")

    def check(self, aws: AwsClients, inputs: Values) -> None:
        if "code" not in inputs:
            raise DeployError("a function needs its archive: there is no code")
        if "role" in inputs:
            aws.require_trust(inputs["role"], "lambda")
        code = inputs["code"]
        if isinstance(code, dict) and "path" in code and not Path(code["path"]).is_file():
            raise DeployError(f"a function needs its archive: there is no {code['path']}")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        name = inputs["name"]
        with ignoring(ALREADY_EXISTS) as create:
            created = aws.client("lambda").create_function(
                FunctionName=name,
                Architectures=inputs["architectures"],
                TracingConfig={"Mode": inputs["tracingConfig"]["mode"]},
                Code={"ZipFile": _archive(inputs["code"])},
                Publish=inputs["publish"],
                Tags=inputs.get("tags", {}),
                **self._configuration(inputs),
            )
            version = created["Version"]
        if create.ignored:
            version = self._publish_changes(aws, inputs)
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        return name, {"arn": arn, "invokeArn": _invoke_arn(arn), "version": version, "qualifiedArn": f"{arn}:{version}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("lambda").get_function(FunctionName=id_)["Configuration"]
            return {
                "handler": found["Handler"],
                "role": found["Role"],
                "runtime": found["Runtime"],
                "timeout": found["Timeout"],
                "memorySize": found["MemorySize"],
                "environment": {**inputs["environment"], "variables": found["Environment"]["Variables"]},
            }
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        version = self._publish_changes(aws, inputs)
        return {"version": version, "qualifiedArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{id_}:{version}"}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("lambda").delete_function(FunctionName=id_)

    @staticmethod
    def _configuration(inputs: Values) -> Values:
        return {
            "Handler": inputs["handler"],
            "Runtime": inputs["runtime"],
            "Role": inputs["role"],
            "Timeout": inputs["timeout"],
            "MemorySize": inputs["memorySize"],
            "Environment": {"Variables": inputs["environment"]["variables"]},
            "Layers": inputs.get("layers", []),
        }

    def _publish_changes(self, aws: AwsClients, inputs: Values) -> str:
        """Updates only what differs, as every update would publish a version; returns the newest version."""
        functions, name = aws.client("lambda"), inputs["name"]
        found = functions.get_function(FunctionName=name)["Configuration"]
        code = _archive(inputs["code"])
        if found["CodeSha256"] != base64.b64encode(hashlib.sha256(code).digest()).decode():
            functions.update_function_code(FunctionName=name, ZipFile=code)
        wanted = self._configuration(inputs)
        layers = [layer["Arn"] for layer in found.get("Layers", [])]
        if wanted != {key: found.get(key) for key in wanted} | {"Layers": layers}:
            functions.update_function_configuration(FunctionName=name, **wanted)
        return str(functions.publish_version(FunctionName=name)["Version"])


class FunctionAlias(ResourceType):
    identity = ("functionName", "name")
    updatable = frozenset({"functionVersion"})
    computed = ("arn", "invokeArn")

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        with ignoring(ALREADY_EXISTS) as create:
            aws.client("lambda").create_alias(**self._request(inputs))
        if create.ignored:
            self.update(aws, "", inputs, inputs)
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{inputs['functionName']}:{inputs['name']}"
        return arn, {"arn": arn, "invokeArn": _invoke_arn(arn)}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            found = aws.client("lambda").get_alias(FunctionName=inputs["functionName"], Name=inputs["name"])
            return {"functionVersion": found["FunctionVersion"]}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        aws.client("lambda").update_alias(**self._request(inputs))
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("lambda").delete_alias(FunctionName=inputs["functionName"], Name=inputs["name"])

    @staticmethod
    def _request(inputs: Values) -> Values:
        return {
            "FunctionName": inputs["functionName"],
            "Name": inputs["name"],
            "FunctionVersion": inputs["functionVersion"],
        }


class Permission(ResourceType):
    identity = ("function", "qualifier", "sourceArn")
    replaces = frozenset({"action", "principal"})

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        id_ = inputs["sourceArn"].partition(":")[2].replace(":", "-").replace("/", "-").replace("*", "any")
        self.delete(aws, id_, inputs)
        aws.client("lambda").add_permission(
            FunctionName=inputs["function"],
            StatementId=id_,
            Action=inputs["action"],
            Principal=inputs["principal"],
            SourceArn=inputs["sourceArn"],
            Qualifier=inputs["qualifier"],
        )
        return id_, {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring(NOT_FOUND):
            answer = aws.client("lambda").get_policy(FunctionName=inputs["function"], Qualifier=inputs["qualifier"])
            return None if first_match(json.loads(answer["Policy"])["Statement"], Sid=id_) is None else {}
        return None

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        with ignoring(NOT_FOUND):
            aws.client("lambda").remove_permission(
                FunctionName=inputs["function"], StatementId=id_, Qualifier=inputs["qualifier"]
            )
