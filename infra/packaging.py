"""Packages the functions for Lambda, with uv and without Docker.

The functions share one archive of code and one layer with their dependencies, exactly as locked in uv.lock. The same
input gives the same bytes, so that Pulumi sees a change only if there is one. Both contain bytecode, because Lambda
cannot keep what it compiles.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pulumi

LAMBDA_PLATFORM = "aarch64-manylinux_2_28"

# Of botocore's 20 MB of service models, only those of the services that shared/ calls are shipped.
AWS_SERVICES = {"dynamodb", "events", "s3", "sns", "ssm", "stepfunctions"}

_ROOT = Path(__file__).parent.parent
_BUILD = _ROOT / "build"
_CODE = ("lambdas", "shared")


def handler_modules(root: Path = _ROOT) -> dict[str, str]:
    """Each function with the module of its `handler`: `lambdas/NAME.py`, or `lambdas/NAME/handler.py` in a package."""
    modules = {path.stem: f"lambdas.{path.stem}" for path in (root / "lambdas").glob("*.py")}
    packages = [path.parent.name for path in (root / "lambdas").glob("*/handler.py")]
    return dict(sorted((modules | {name: f"lambdas.{name}.handler" for name in packages}).items()))


def sources() -> pulumi.Archive:
    """Return the functions as they are in the working tree, which is enough to run them on this machine.

    Files are listed one by one, because a folder changes as soon as Python writes bytecode into it.
    """
    return pulumi.AssetArchive(
        {
            str(source.relative_to(_ROOT)): pulumi.FileAsset(str(source))
            for name in _CODE
            for source in sorted((_ROOT / name).rglob("*.py"))
        }
    )


def code() -> Path:
    """Build the archive of our own code and return its path."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in _CODE:
            for source in sorted((_ROOT / name).rglob("*.py")):
                target = root / source.relative_to(_ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        return _archive(root, run_from="/var/task", into=_BUILD / "code.zip")


def layer(platform: str = LAMBDA_PLATFORM) -> Path:
    """Return the archive of dependencies for a platform (as uv names it), built only if uv.lock has changed."""
    inputs = (_ROOT / "uv.lock").read_bytes() + Path(__file__).read_bytes() + platform.encode()
    target = _BUILD / f"layer-{platform}-{hashlib.sha256(inputs).hexdigest()[:16]}.zip"
    if target.exists():
        return target
    for outdated in _BUILD.glob(f"layer-{platform}-*"):
        outdated.unlink()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        requirements, packages = root / "requirements.txt", root / "layer" / "python"
        options = ["--quiet", "--no-default-groups", "--no-emit-project", "--frozen", "--output-file"]
        _run(uv(), "export", *options, requirements)
        wheels = ["--only-binary", ":all:", "--require-hashes", "--python-platform", platform]
        _run(uv(), "pip", "install", "--quiet", *wheels, "--python", sys.executable, "--target", packages,
             "--requirements", requirements)  # fmt: skip
        shutil.rmtree(packages / "bin", ignore_errors=True)
        for service in (packages / "botocore" / "data").iterdir():
            if service.is_dir() and service.name not in AWS_SERVICES:
                shutil.rmtree(service)
        return _archive(packages.parent, run_from="/opt", into=target)


def uv() -> str:
    for candidate in ("uv", str(_ROOT / ".uv" / "bin" / "uv")):
        try:
            subprocess.run([candidate, "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    raise FileNotFoundError("packaging the functions needs uv, which is neither on the PATH nor in .uv/")


def _run(*command: str | Path, **environment: str) -> None:
    subprocess.run(command, cwd=_ROOT, check=True, env={**os.environ, **environment})


def _archive(root: Path, *, run_from: str, into: Path) -> Path:
    """Compile and zip a folder reproducibly: sorted, without dates or owners, with a fixed order of sets."""
    options: list[str | Path] = ["-q", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", run_from]
    _run(sys.executable, "-m", "compileall", *options, root, PYTHONHASHSEED="0")
    into.parent.mkdir(exist_ok=True)
    unfinished = into.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.name not in {"RECORD", "REQUESTED", ".lock"}:
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return unfinished.replace(into)
