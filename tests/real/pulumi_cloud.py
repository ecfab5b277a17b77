"""An empty AWS for the Pulumi engine to deploy to, and what it holds afterwards."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from local.pulumi.automation import PulumiEngine
from local.pulumi.provider import AwsProvider
from local.pulumi.resources.resource_type import AwsClients

CONFIG = {"frontendUrl": "https://booking.example.com", "package": "false"}

PULUMI_MARKS = [
    pytest.mark.pulumi,
    # Pulumi's own modules raise warnings, and it leaves event loops and pipes open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class PulumiCloud:
    """An empty AWS behind a provider, and Pulumi stacks deployed to it; `changes` counts the provider's changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.aws = AwsClients()
        self.provider = AwsProvider(self.aws)
        self.changes = 0
        self.provider.on_change = self._count

    def _count(self) -> None:
        self.changes += 1

    def engine(self, stack: str, *, port: int | None = None, **config: str) -> PulumiEngine:
        return PulumiEngine(self._folder / stack, port or self.provider.port, {**CONFIG, **config}, stack)

    def existing(self) -> dict[str, list[str]]:
        """The names of all resources by kind, as AWS lists them."""
        listed = functools.partial(_names, self.aws)
        functions = listed("lambda", "list_functions", "Functions", "FunctionName", MaxItems=1000)
        pools = self.aws.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
        apis = self.aws.client("apigateway").get_rest_apis(limit=500)["items"]
        found = {
            "tables": self.aws.client("dynamodb").list_tables()["TableNames"],
            "parameters": listed("ssm", "describe_parameters", "Parameters", "Name", MaxResults=50),
            "buckets": listed("s3", "list_buckets", "Buckets", "Name"),
            "topics": listed("sns", "list_topics", "Topics", "TopicArn"),
            "buses": [name for name in listed("events", "list_event_buses", "EventBuses", "Name") if name != "default"],
            "rules": listed("events", "list_rules", "Rules", "Name"),
            "schedules": listed("scheduler", "list_schedules", "Schedules", "Name"),
            "roles": listed("iam", "list_roles", "Roles", "RoleName", MaxItems=1000),
            "log groups": listed("logs", "describe_log_groups", "logGroups", "logGroupName", limit=50),
            "functions": functions,
            "versions": [
                f"{name}:{version}"
                for name in functions
                for version in listed("lambda", "list_versions_by_function", "Versions", "Version", FunctionName=name)
            ],
            "machines": listed("stepfunctions", "list_state_machines", "stateMachines", "name"),
            "pools": [pool["Name"] for pool in pools],
            "clients": [
                name
                for pool in pools
                for name in listed(
                    "cognito-idp",
                    "list_user_pool_clients",
                    "UserPoolClients",
                    "ClientName",
                    UserPoolId=pool["Id"],
                    MaxResults=60,
                )
            ],
            "apis": [api["name"] for api in apis],
            "deployments": [
                description
                for api in apis
                for description in listed("apigateway", "get_deployments", "items", "description", restApiId=api["id"])
            ],
            "stages": [
                name
                for api in apis
                for name in listed("apigateway", "get_stages", "item", "stageName", restApiId=api["id"])
            ],
        }
        return {kind: sorted(names) for kind, names in found.items()}


def _names(aws: AwsClients, service: str, operation: str, items: str, name: str, **options: Any) -> list[str]:
    answer = getattr(aws.client(service), operation)(**options)
    return [item[name] for item in answer[items]]


def registered(engine: PulumiEngine) -> int:
    """The number of resources in the engine's state, without the provider's own."""
    return len(json.loads(engine.decrypted_state())["resources"]) - 1
