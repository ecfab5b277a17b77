"""The Pulumi engine itself deploys `__main__.py`: previews, changes, failures on the way, what its state holds."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws
import pytest
from pulumi.automation import CommandError

from infra import function, openapi, packaging, routes
from infra.grants import trust
from local import credentials
from local.aws import emulator as aws_engine
from local.pulumi import automation
from local.pulumi.automation import PulumiEngine
from local.pulumi.provider import AwsProvider
from local.pulumi.resources.registry import RESOURCE_TYPES
from local.pulumi.resources.resource_type import AwsClients
from statemachines.render import render
from tests.real import aws_over_http
from tests.real.conftest import tool_or_skip

pytestmark = [
    pytest.mark.pulumi,
    # Pulumi complains of its own modules, and leaves event loops and pipes open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CONFIG = {"frontendUrl": "https://booking.example.com", "package": "false"}
WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/guests/0a1b2c3d"

type Json = dict[str, Any]


class Cloud:
    """An empty AWS with a provider in front."""

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

    def there(self) -> dict[str, list[str]]:
        """What the AWS holds, by kind, as the AWS itself says."""
        aws, found = self.aws, {}
        found["tables"] = aws.client("dynamodb").list_tables()["TableNames"]
        found["parameters"] = [
            one["Name"] for one in aws.client("ssm").describe_parameters(MaxResults=50)["Parameters"]
        ]
        found["topics"] = [one["TopicArn"] for one in aws.client("sns").list_topics()["Topics"]]
        found["buses"] = [
            one["Name"] for one in aws.client("events").list_event_buses()["EventBuses"] if one["Name"] != "default"
        ]
        found["rules"] = [one["Name"] for one in aws.client("events").list_rules()["Rules"]]
        found["schedules"] = [one["Name"] for one in aws.client("scheduler").list_schedules()["Schedules"]]
        found["roles"] = [one["RoleName"] for one in aws.client("iam").list_roles(MaxItems=1000)["Roles"]]
        found["log groups"] = [
            one["logGroupName"] for one in aws.client("logs").describe_log_groups(limit=50)["logGroups"]
        ]
        functions = [one["FunctionName"] for one in aws.client("lambda").list_functions(MaxItems=1000)["Functions"]]
        found["functions"] = functions
        found["versions"] = [
            f"{name}:{one['Version']}"
            for name in functions
            for one in aws.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
        ]
        found["machines"] = [one["name"] for one in aws.client("stepfunctions").list_state_machines()["stateMachines"]]
        pools = aws.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
        found["pools"] = [pool["Name"] for pool in pools]
        found["clients"] = [
            one["ClientName"]
            for pool in pools
            for one in aws.client("cognito-idp").list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=60)[
                "UserPoolClients"
            ]
        ]
        apis = aws.client("apigateway").get_rest_apis(limit=500)["items"]
        found["apis"] = [api["name"] for api in apis]
        found["deployments"] = [
            one["description"]
            for api in apis
            for one in aws.client("apigateway").get_deployments(restApiId=api["id"])["items"]
        ]
        found["stages"] = [
            one["stageName"] for api in apis for one in aws.client("apigateway").get_stages(restApiId=api["id"])["item"]
        ]
        return {kind: sorted(names) for kind, names in found.items()}


@pytest.fixture(scope="session", autouse=True)
def cli() -> None:
    tool_or_skip(automation.cli)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    moto = aws_engine.start()
    cloud = Cloud(tmp_path)
    yield cloud
    cloud.provider.close()
    aws_engine.stop(moto)
    gc.collect()  # while the marks above say what to make of what was left open


def of_the_program(engine: PulumiEngine) -> int:
    return len(json.loads(engine.decrypted_state())["resources"]) - 1  # but for the provider's own


def test_dev_is_previewed_made_kept_and_taken_away(cloud: Cloud) -> None:
    engine = cloud.engine("dev", package="true")
    previewed = engine.preview()
    assert cloud.changes == 0
    assert engine.up() == previewed
    assert previewed == {"create": of_the_program(engine)}
    assert {one.type for one in cloud.provider.resources.values()} == RESOURCE_TYPES.keys() - {
        "aws:kms/alias:Alias",
        "aws:kms/key:Key",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:wafv2/webAclAssociation:WebAclAssociation",
    }
    same = {"same": previewed["create"]}
    changes, there = cloud.changes, cloud.there()
    assert engine.up() == same
    assert engine.refresh() == same
    assert engine.up() == same
    assert (cloud.changes, cloud.there()) == (changes, there)
    assert engine.destroy() == {"delete": previewed["create"]}
    assert {kind: names for kind, names in cloud.there().items() if names} == {}


def test_prod_is_previewed_made_kept_and_not_taken_away(cloud: Cloud) -> None:
    engine = cloud.engine("prod", webAclArn=WEB_ACL, operatorEmail="operators@example.com", package="true")
    previewed = engine.preview()
    assert engine.up() == previewed == {"create": of_the_program(engine)}
    same = {"same": previewed["create"]}
    assert engine.up() == same
    assert engine.refresh() == same
    changes, there = cloud.changes, cloud.there()
    with pytest.raises(CommandError) as refused:
        engine.destroy()
    assert (cloud.changes, cloud.there()) == (changes, there)
    protected = [name for kind, name in re.findall(r"aws:(\S+?) \((\S+)\):\n\s+error: ", str(refused.value))]
    assert sorted(protected) == [
        "availability",
        "guests",
        "payments",
        "publishable-key",
        "reservations",
        "secret-key",
        "stripe-webhook-events",
        "webhook-secret",
    ]
    assert str(refused.value).count("protect") >= len(protected)
    # The key is not even asked about, since the tables stay.
    assert "aws:kms/key:Key" in {one.type for one in cloud.provider.resources.values()}


def test_somebody_elses_change_is_seen_by_a_refresh_and_put_right_by_the_next_up(cloud: Cloud) -> None:
    engine = cloud.engine("dev")
    engine.up()
    cloud.aws.client("lambda").update_function_configuration(FunctionName="booking-dev-release-hold", Timeout=3)
    cloud.aws.client("iam").delete_role_policy(
        RoleName="booking-dev-release-hold", PolicyName="booking-dev-release-hold"
    )
    refreshed = engine.refresh()
    assert (refreshed["update"], refreshed["delete"]) == (1, 1)
    engine.up()
    there = cloud.aws.client("lambda").get_function(FunctionName="booking-dev-release-hold")["Configuration"]
    assert there["Timeout"] == 30
    assert cloud.aws.client("iam").list_role_policies(RoleName="booking-dev-release-hold")["PolicyNames"] == [
        "booking-dev-release-hold"
    ]


# What must be refused.


def _invalid_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(name: str, values: Json) -> str:
        definition = json.loads(render(name, values))
        definition["States"]["AwaitStripe" if name == "payment" else "CheckRefund"]["Next"] = "Nowhere"
        return json.dumps(definition)

    monkeypatch.setattr("infra.workflow.render", wrong)


def _role_without_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "trust", lambda _: trust("ec2"))


def _no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "sources", lambda: None)


def _two_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    status = routes.PAYMENTS_ROUTES["GET", "/payments/{id}/status"]
    more = {**routes.PAYMENTS_ROUTES, ("GET", "/payments/{payment_id}/receipt"): status}
    monkeypatch.setattr(openapi, "PAYMENTS_ROUTES", more)


WRONG: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "definition": (_invalid_definition, "leads to a state 'Nowhere' that it does not have"),
    "trust": (_role_without_trust, "does not trust lambda.amazonaws.com"),
    "archive": (_no_archive, "a function needs its archive"),
    "paths": (_two_variables, "sibling path variables of different names: {id} and {payment_id}"),
}


def test_wrong_changes_are_refused_before_anything_is_touched(cloud: Cloud) -> None:
    engine = cloud.engine("dev")
    engine.up()
    changes, there = cloud.changes, cloud.there()
    for name, (spoil, reason) in WRONG.items():
        with pytest.MonkeyPatch.context() as spoilt:
            spoil(spoilt)
            with pytest.raises(CommandError) as refused:
                engine.up()
        assert reason in str(refused.value), name
        assert (cloud.changes, cloud.there()) == (changes, there), name
    assert engine.up().keys() == {"same"}


def test_two_resources_of_one_name_are_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def program() -> None:
        for name in ("one", "two"):
            pulumi_aws.sns.Topic(name, name="operators")

    monkeypatch.setattr(automation, "_program", program)
    with pytest.raises(CommandError, match=r"(one: two|two: one) is operators already"):
        cloud.engine("dev").up()
    assert cloud.changes == 0


def test_what_cannot_be_done_is_said_with_the_resources_name(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def program() -> None:
        pulumi_aws.ssm.Parameter("too-much", name="/too/much", type="Enormous", value="x")

    monkeypatch.setattr(automation, "_program", program)
    with pytest.raises(CommandError, match=r"too-much: An error occurred \(ValidationException\)"):
        cloud.engine("dev").up()


# Secrets.


def test_a_secret_is_a_secret_in_the_state_and_to_the_provider_itself(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program() -> None:
        value = pulumi.Output.secret("the combination of the safe")
        made = pulumi_aws.ssm.Parameter("safe", name="/safe", type="SecureString", value=value)
        pulumi.export("combination", made.value)

    monkeypatch.setattr(automation, "_program", program)
    engine = cloud.engine("dev")
    for step in (engine.up, engine.refresh, engine.up):
        step()
        stored = cloud.aws.client("ssm").get_parameter(Name="/safe", WithDecryption=True)["Parameter"]["Value"]
        assert stored == "the combination of the safe"
        assert "the combination of the safe" not in _files(engine.state)
    assert engine.outputs()["combination"] == "the combination of the safe"
    cloud.aws.client("ssm").put_parameter(
        Name="/safe", Value="another combination", Type="SecureString", Overwrite=True
    )
    engine.refresh()
    assert "another combination" in engine.decrypted_state()
    assert "another combination" not in _files(engine.state)


def test_the_stripe_keys_never_enter_the_state(cloud: Cloud) -> None:
    engine = cloud.engine("dev")
    engine.up()
    keys = [credentials.STRIPE_API_KEY, credentials.PUBLISHABLE_KEY, credentials.WEBHOOK_SECRET]
    for name, key in zip(("secret_key", "publishable_key", "webhook_secret"), keys, strict=True):
        cloud.aws.client("ssm").put_parameter(
            Name=f"/booking/dev/stripe/{name}", Value=key, Type="SecureString", Overwrite=True
        )
    engine.refresh()
    assert engine.up().keys() == {"same"}
    told = _files(engine.state) + engine.decrypted_state()
    assert "/booking/dev/stripe/secret_key" in told
    assert [key for key in keys if key in told] == []
    stored = cloud.aws.client("ssm").get_parameter(Name="/booking/dev/stripe/secret_key", WithDecryption=True)[
        "Parameter"
    ]
    assert stored["Value"] == credentials.STRIPE_API_KEY


def _files(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


# The engine dies on the way.

# A name that is given, and ids that AWS makes up: each could be made twice in its own way.
DIES_AT = {
    "aws:dynamodb/table:Table": "payments",
    "aws:cognito/userPool:UserPool": "guests",
    "aws:lambda/function:Function": "verify-payment",
    "aws:sfn/stateMachine:StateMachine": "refund",
    "aws:apigateway/deployment:Deployment": "-",  # it has no name of its own
}


def children() -> list[int]:
    return [
        int(pid) for thread in Path("/proc/self/task").iterdir() for pid in (thread / "children").read_text().split()
    ]


def named(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.mark.parametrize(("type_", "name"), list(DIES_AT.items()))
def test_an_engine_that_is_killed_is_taken_over_from(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, type_: str, name: str
) -> None:
    engine = cloud.engine("dev")
    kind = RESOURCE_TYPES[type_]
    create = kind.create
    killed: list[int] = []

    def make_and_die(aws: AwsClients, inputs: Json) -> tuple[str, Json]:
        made = create(aws, inputs)
        if not killed and (name == "-" or inputs["name"].endswith(name)):
            (engine_process,) = [pid for pid in children() if named(pid) == "pulumi"]
            os.kill(engine_process, signal.SIGKILL)
            killed.append(engine_process)
        return made

    monkeypatch.setattr(kind, "create", make_and_die, raising=False)
    with pytest.raises(CommandError, match="code: -9"):
        engine.up()
    assert killed
    engine.cancel()
    finishes(engine, cloud)


@pytest.mark.parametrize(("type_", "name"), list(DIES_AT.items()))
def test_a_provider_that_is_killed_is_taken_over_from(cloud: Cloud, type_: str, name: str) -> None:
    with aws_over_http.served() as address:
        command = [sys.executable, "-m", "tests.real.provider_process", address, type_, name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            with pytest.raises(CommandError) as error:
                cloud.engine("dev", port=int(process.stdout.readline())).up()
            process.terminate()  # no more than a signal to one that is dead
            assert process.wait() == -signal.SIGKILL, str(error.value)
    finishes(cloud.engine("dev"), cloud)


def finishes(engine: PulumiEngine, cloud: Cloud) -> None:
    """The next `up` makes what is missing, and nothing that is there already a second time."""
    engine.up()
    assert engine.up() == {"same": of_the_program(engine)}
    there = cloud.there()
    assert {kind: names for kind, names in there.items() if len(set(names)) < len(names)} == {}
    assert [len(there[kind]) for kind in ("tables", "pools", "clients", "apis", "deployments")] == [4, 1, 1, 1, 1]
    # Each function has its newest state and one version, each state machine one.
    assert len(there["versions"]) == 2 * len(there["functions"]) == 24
    for machine in ("payment", "refund"):
        alias = f"arn:aws:states:eu-west-1:123456789012:stateMachine:booking-dev-{machine}:live"
        routing = cloud.aws.client("stepfunctions").describe_state_machine_alias(stateMachineAliasArn=alias)
        assert routing["routingConfiguration"][0]["stateMachineVersionArn"].endswith(":1")
