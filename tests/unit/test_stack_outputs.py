"""scripts.stack_outputs: what tools for a deployed stack begin with, and how they end where there is none."""

from pathlib import Path

import pytest

from scripts import stack_outputs
from tests.harness.tables import in_table

TOPIC = "arn:aws:sns:eu-west-1:123456789012:booking-dev-operators"


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Pulumi CLI that does what a test writes into it; the only program on the PATH besides a shell."""
    cli = tmp_path / "pulumi"
    cli.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("API_URL", raising=False)
    return cli


def test_it_reads_the_outputs_of_the_stack(pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = '{"apiUrl": "https://api.example", "operatorTopicArn": "' + TOPIC + '", "asked": "\'"$*"\'"}'
    pulumi.write_text(f"#!/bin/sh\necho '{arguments}'\n", encoding="utf-8")
    outputs = stack_outputs.read("dev")
    assert outputs["asked"] == "stack output --json --stack dev"
    assert (outputs["apiUrl"], stack_outputs.region(outputs)) == ("https://api.example", "eu-west-1")
    monkeypatch.setenv("API_URL", "http://127.0.0.1:8400/api")
    here = stack_outputs.read("dev")
    assert here["apiUrl"] == "http://127.0.0.1:8400/api"
    assert here["webhookUrl"] == "http://127.0.0.1:8400/api/webhooks/stripe"


@in_table()
def test_it_ends_with_the_reason_where_there_is_nothing_to_read(
    pulumi: Path, script: str | None, message: str | int
) -> None:
    if script is None:
        pulumi.unlink()
    else:
        pulumi.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        stack_outputs.read("dev")
    assert ended.value.code == message
