"""An `up` whose engine or provider is killed: the next one completes it, and creates nothing twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import CommandError

from local.pulumi.automation import PulumiEngine
from local.pulumi.resources.registry import RESOURCE_TYPES
from local.pulumi.resources.resource_type import AwsClients
from tests.real import aws_over_http
from tests.real.pulumi_cloud import PULUMI_MARKS, PulumiCloud, registered

pytestmark = PULUMI_MARKS

type Json = dict[str, Any]

# Types with a given name, and types whose id AWS assigns: each could be created twice in its own way.
KILLED_AFTER = {
    "aws:dynamodb/table:Table": "payments",
    "aws:cognito/userPool:UserPool": "guests",
    "aws:lambda/function:Function": "verify-payment",
    "aws:sfn/stateMachine:StateMachine": "refund",
    "aws:apigateway/deployment:Deployment": "-",  # it has no name
}


def child_processes() -> list[int]:
    return [
        int(pid) for thread in Path("/proc/self/task").iterdir() for pid in (thread / "children").read_text().split()
    ]


def process_name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def kill_between_writes(pid: int, state: Path) -> None:
    """Kill the engine while its state can be read.

    A folder as backend keeps the attributes of each file in a second one, which is not replaced at once: half of it is
    "failed to load checkpoint: EOF". The backend of docs/deploy.md, a bucket, has no such moment.
    """
    while True:
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        if all(file.stat().st_size for file in state.rglob("*.attrs")):
            os.kill(pid, signal.SIGKILL)
            return
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("type_name", "name"), list(KILLED_AFTER.items()))
def test_the_next_engine_completes_what_a_killed_one_started(
    cloud: PulumiCloud, monkeypatch: pytest.MonkeyPatch, type_name: str, name: str
) -> None:
    engine = cloud.engine("dev")
    type_ = RESOURCE_TYPES[type_name]
    create = type_.create
    killed: list[int] = []

    def create_and_die(aws: AwsClients, inputs: Json) -> tuple[str, Json]:
        created = create(aws, inputs)
        if not killed and (name == "-" or inputs["name"].endswith(name)):
            (engine_process,) = [pid for pid in child_processes() if process_name(pid) == "pulumi"]
            os.kill(engine_process, signal.SIGKILL)
            killed.append(engine_process)
        return created

    monkeypatch.setattr(type_, "create", create_and_die, raising=False)
    with pytest.raises(CommandError, match="code: -9"):
        engine.up()
    assert killed
    engine.cancel()
    complete(engine, cloud)


@pytest.mark.parametrize(("type_name", "name"), list(KILLED_AFTER.items()))
def test_the_next_provider_completes_what_a_killed_one_started(cloud: PulumiCloud, type_name: str, name: str) -> None:
    with aws_over_http.served() as address:
        command = [sys.executable, "-m", "tests.real.provider_process", address, type_name, name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            with pytest.raises(CommandError) as error:
                cloud.engine("dev", port=int(process.stdout.readline())).up()
            process.terminate()  # has no effect: the process is dead
            assert process.wait() == -signal.SIGKILL, str(error.value)
    complete(cloud.engine("dev"), cloud)


def complete(engine: PulumiEngine, cloud: PulumiCloud) -> None:
    """The next `up` creates what is missing, and nothing twice."""
    engine.up()
    assert engine.up() == {"same": registered(engine)}
    existing = cloud.existing()
    assert {kind: names for kind, names in existing.items() if len(set(names)) < len(names)} == {}
    assert [len(existing[kind]) for kind in ("tables", "pools", "clients", "apis", "deployments")] == [5, 1, 2, 1, 1]
    # Each function has $LATEST and one version, and each state machine has one version.
    assert len(existing["versions"]) == 2 * len(existing["functions"]) == 28
    for machine in ("payment", "refund"):
        alias = f"arn:aws:states:eu-west-1:123456789012:stateMachine:booking-dev-{machine}:live"
        routing = cloud.aws.client("stepfunctions").describe_state_machine_alias(stateMachineAliasArn=alias)
        assert routing["routingConfiguration"][0]["stateMachineVersionArn"].endswith(":1")
