import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import botocore
import pytest

from infra import botocore_data, packaging
from infra.botocore_data import OPERATIONS
from tests.infra.conftest import Deploy

ROOT = Path(packaging.__file__).parent.parent


@pytest.fixture(scope="module")
def uv() -> None:
    try:
        packaging.uv()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def layer(uv: None) -> Path:
    """The layer for this machine, on which its handlers can be imported."""
    return packaging.layer(f"{platform.machine()}-manylinux_2_28")


BOTOCORE_DATA = Path(botocore.__file__).parent / "data"


def digest(data: Path = BOTOCORE_DATA) -> str:
    """What botocore's data is: by default the installed one, which every command of the project uses."""
    services = [path for name in OPERATIONS for path in sorted((data / name).rglob("*.json*"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in (data / "endpoints.json", *services))).hexdigest()


@pytest.fixture(scope="module")
def lambda_layers(uv: None, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The layer for Lambda, as it is kept for this lock, and built from scratch."""
    before = digest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaging, "_BUILD", tmp_path_factory.mktemp("build"))
        built = packaging.layer()
    assert digest() == before
    return [packaging.layer(), built]


def unzipped(archive: Path) -> int:
    with zipfile.ZipFile(archive) as contents:
        return sum(entry.file_size for entry in contents.infolist())


def test_the_same_code_gives_the_same_bytes() -> None:
    first = packaging.code().read_bytes()
    assert packaging.code().read_bytes() == first


def test_the_same_lock_gives_the_same_layer(lambda_layers: list[Path]) -> None:
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in lambda_layers)
    assert lambda_layers[0] != lambda_layers[1]
    assert first == second


def test_the_package_is_far_below_lambdas_limit(lambda_layers: list[Path]) -> None:
    """Lambda accepts 250 MB unzipped, and each MB makes a cold start longer."""
    assert unzipped(packaging.code()) + unzipped(lambda_layers[0]) < 60_000_000


def test_the_code_archive_contains_all_functions_and_shared_modules_with_bytecode() -> None:
    modules = {path.relative_to(ROOT) for name in ("lambdas", "shared") for path in (ROOT / name).rglob("*.py")}
    bytecode = {path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in modules}
    with zipfile.ZipFile(packaging.code()) as archive:
        assert {Path(name) for name in archive.namelist()} == modules | bytecode


def test_the_models_of_exactly_the_services_that_are_called_are_shipped() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for name in ("lambdas", "shared") for path in (ROOT / name).rglob("*.py")
    )
    assert set(re.findall(r'boto3\.client\(\s*"([\w-]+)"', text)) == OPERATIONS.keys()
    called = set(re.findall(r"\b(?:_?client|_events|_sns)\(\)\.(\w+)", text)) - {"meta"}
    called = called - {"get_paginator"} | set(re.findall(r'get_paginator\("(\w+)"\)', text))
    called |= {"get_parameter"} if "SSMProvider(" in text else set()
    kept = {name for operations in OPERATIONS.values() for name in operations}
    assert {"".join(map(str.capitalize, name.split("_"))) for name in called} == kept


def test_trimming_changes_no_file_that_is_linked_to_an_installed_one(tmp_path: Path) -> None:
    """An installer may link what it installs; then a file that is written in place changes everywhere."""
    shutil.copytree(BOTOCORE_DATA, tmp_path / "installed")
    shutil.copytree(tmp_path / "installed", tmp_path / "data", copy_function=os.link)
    botocore_data.trim(tmp_path / "data")
    assert digest(tmp_path / "installed") == digest()
    assert {path.name for path in (tmp_path / "data").iterdir() if path.is_dir()} == OPERATIONS.keys()
    for service, operations in OPERATIONS.items():
        (model,) = (tmp_path / "data" / service).rglob("service-2.json")
        assert json.loads(model.read_text(encoding="utf-8"))["operations"].keys() == operations
    assert (tmp_path / "data" / "endpoints.json").stat().st_size < 100_000


def test_every_handler_can_be_imported_from_the_package_alone(layer: Path, tmp_path: Path) -> None:
    for archive in (packaging.code(), layer):  # no tools, and nothing that would slow the import of stripe
        with zipfile.ZipFile(archive) as contents:
            top = {"/".join(Path(name).parts[:2]) for name in contents.namelist()}
            assert top.isdisjoint({f"python/{name}" for name in ("aiohttp", "httpx", "moto", "pulumi", "pytest")})
            contents.extractall(tmp_path)
    assert {path.stem for path in (tmp_path / "python" / "stripe").glob("*.py")} <= {
        path.name.partition(".")[0] for path in (tmp_path / "python" / "stripe" / "__pycache__").iterdir()
    }

    modules = list(packaging.handler_modules(tmp_path).values())
    behind_http = [
        "lambdas.operations_api.handler",
        "lambdas.payments_api.handler",
        "lambdas.stripe_webhook",
    ]  # a guest or Stripe waits for their cold starts
    program = f"""
import importlib, sys
sys.path[:0] = [{str(tmp_path)!r}, {str(tmp_path / "python")!r}]
for name in {behind_http!r}:
    importlib.import_module(name)
heavy = {{"stripe", "requests", "aws_xray_sdk"}} & sys.modules.keys()
assert not heavy, heavy
for name in {modules!r}:
    assert callable(importlib.import_module(name).handler), name
foreign = [m.__file__ for m in sys.modules.values() if "site-packages" in (getattr(m, "__file__", None) or "")]
assert not foreign, foreign
"""
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "POWERTOOLS_SERVICE_NAME": "test"}
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], check=True, env=environment)


def test_a_packaged_stack_uses_the_code_archive_and_the_layer(deploy: Deploy, layer: Path) -> None:
    stack = deploy(package="true")
    (dependencies,) = stack.deployment.of_type("aws:lambda/layerVersion:LayerVersion")
    assert dependencies.inputs["compatibleArchitectures"] == ["arm64"]
    assert {str(f["Layers"]) for f in stack.functions.values()} != {"[]"}
    for function in stack.functions.values():
        assert [part["Arn"].rpartition(":")[0] for part in function["Layers"]] == [
            "arn:aws:lambda:eu-west-1:123456789012:layer:booking-local-dependencies"
        ]
