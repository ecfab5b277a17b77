"""Clients generated from docs/openapi.json read well: TypeScript's compiles under --strict, Python's is imported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import packaging
from local.external_tools import install
from tests.real.conftest import tool_or_skip

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "docs" / "openapi.json"
GUIDE = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def run(*command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_typescript_client_and_the_polling_loop_compile_under_strict(tmp_path: Path) -> None:
    tool = tool_or_skip(lambda: install("api-clients", ["npm", "ci", "--no-audit", "--no-fund"]))
    scripts = tool / "node_modules" / ".bin"
    run(str(scripts / "openapi-typescript"), str(OPENAPI), "-o", str(tmp_path / "payments.d.ts"), folder=tool)
    (loop,) = blocks("typescript")
    (tmp_path / "poll.ts").write_text(loop, encoding="utf-8")
    strict = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--moduleResolution", "bundler"]
    compiler = [str(scripts / "tsc"), *strict, "--module", "esnext"]
    run(*compiler, str(tmp_path / "poll.ts"), folder=tool)
    (tmp_path / "wrong.ts").write_text(loop.replace('"completed"', '"paid"'), encoding="utf-8")
    with pytest.raises(AssertionError, match="no overlap"):
        run(*compiler, str(tmp_path / "wrong.ts"), folder=tool)


def test_a_python_client_has_a_function_for_every_operation(tmp_path: Path) -> None:
    pip = [packaging.uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", "lib"]
    tool = tool_or_skip(lambda: install("api-clients-python", [*pip, "--require-hashes", "-r", "requirements.txt"]))
    library = {"PYTHONPATH": str(tool / "lib")}
    generate = ["openapi_python_client", "generate", "--path", str(OPENAPI), "--meta", "none"]
    run(sys.executable, "-W", "ignore", "-m", *generate, "--output-path", "payments", folder=tmp_path, **library)
    names = [
        re.sub(r"(?<!^)(?=[A-Z])", "_", operation["operationId"]).lower()
        for path in json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"].values()
        for operation in path.values()
    ]
    imports = "\n".join(f"from payments.api.default import {name}" for name in names)
    run(sys.executable, "-W", "ignore", "-c", imports, folder=tmp_path, **library)


def test_the_polling_loop_in_python_runs(tmp_path: Path) -> None:
    (loop,) = blocks("python")
    answers = [{"status": "pending", "poll_after_seconds": 0}, {"status": "completed"}]
    program = f"{loop}\nanswers = {answers!r}\nprint(wait_for_payment(lambda: answers.pop(0))['status'])"
    assert run(sys.executable, "-c", program, folder=tmp_path).strip() == "completed"
