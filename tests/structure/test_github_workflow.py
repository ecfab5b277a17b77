"""The workflow of GitHub Actions: what it runs exists, and who gets credentials when."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".github" / "workflows" / "deploy.yml"
WORKFLOW: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_a_pull_request_is_previewed_and_a_tag_is_deployed_and_smoke_tested() -> None:
    assert commands("check") == ["make check"]
    assert commands("preview")[-1] == 'pulumi preview --diff --stack "$STACK"'
    assert commands("deploy")[-3:] == [
        'pulumi up --yes --stack "$STACK"',
        'make stripe-webhook STACK="$STACK"',
        'make smoke STACK="$STACK"',
    ]
    assert JOBS["deploy"]["if"].startswith("startsWith(github.ref, 'refs/tags/v')")
    assert JOBS["deploy"]["needs"] == "check"
    assert JOBS["preview"]["if"].startswith("github.event_name == 'pull_request'")


def test_every_make_target_that_it_runs_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    run = {found for job in JOBS for command in commands(job) for found in re.findall(r"make ([a-z-]+)", command)}
    assert run == {"check", "stripe-webhook", "smoke"}
    assert run <= targets


def test_only_the_two_jobs_that_use_aws_get_a_token_and_no_key_is_stored() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    with_token = {name for name, job in JOBS.items() if "id-token" in job.get("permissions", {})}
    with_role = {
        name for name, job in JOBS.items() if any("role-to-assume" in step.get("with", {}) for step in job["steps"])
    }
    assert with_token == with_role == {"preview", "deploy"}
    assert "secrets." not in FILE.read_text(encoding="utf-8")
    assert "head.repo.full_name == github.repository" in JOBS["preview"]["if"]
    assert JOBS["deploy"]["concurrency"] == {"group": "deploy", "cancel-in-progress": False}


@pytest.mark.parametrize(
    "variable", ["AWS_REGION", "PULUMI_BACKEND_URL", "STACK", "PREVIEW_ROLE_ARN", "DEPLOY_ROLE_ARN"]
)
def test_every_variable_that_it_reads_is_documented(variable: str) -> None:
    assert set(re.findall(r"vars\.(\w+)", FILE.read_text(encoding="utf-8"))) >= {variable}
    assert f"`{variable}`" in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
