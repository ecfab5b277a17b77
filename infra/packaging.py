"""Packages the functions for Lambda, with uv and without Docker.

The functions share one archive of code and one layer with their dependencies, exactly as locked in uv.lock. The same
input gives the same bytes, so that Pulumi sees a change only if there is one. Both contain bytecode, because Lambda
cannot keep what it compiles.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pulumi

from infra import botocore_data

LAMBDA_PLATFORM = "aarch64-manylinux_2_28"

# The roots of Amazon Trust Services, by which every endpoint of AWS is certified (docs/decisions.md). Reading all that
# certifi has takes 10 ms for each client.
AMAZON_ROOTS = "amazon-roots.pem"
AMAZON_ROOT_COUNT = 5
_ROOT_OF_AMAZON = re.compile(
    r'# Label: "((?:Amazon Root CA \d|Starfield Services Root Certificate Authority - G2))"\n(?:#.*\n)*'
    r"(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n)"
)

_ROOT = Path(__file__).parent.parent
_BUILD = _ROOT / "build"
_CODE = ("lambdas", "shared")


def handler_modules(root: Path = _ROOT) -> dict[str, str]:
    """Each function with the module of its `handler`: `lambdas/NAME.py`, or `lambdas/NAME/handler.py` in a package."""
    modules = {path.stem: f"lambdas.{path.stem}" for path in (root / "lambdas").glob("[!_]*.py")}
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
    sources = (_ROOT / "uv.lock", Path(__file__), Path(botocore_data.__file__))
    inputs = b"".join(source.read_bytes() for source in sources) + platform.encode()
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
        # Copies: uv would link the files to those of its cache, which every environment shares, and some are trimmed.
        wheels = ["--link-mode", "copy", "--only-binary", ":all:", "--require-hashes", "--python-platform", platform]
        _run(uv(), "pip", "install", "--quiet", *wheels, "--python", sys.executable, "--target", packages,
             "--requirements", requirements)  # fmt: skip
        shutil.rmtree(packages / "bin", ignore_errors=True)
        botocore_data.trim(packages / "botocore" / "data")
        certificates = (packages / "certifi" / "cacert.pem").read_text(encoding="utf-8")
        (packages / AMAZON_ROOTS).write_text(amazon_roots(certificates), encoding="utf-8")
        return _archive(packages.parent, run_from="/opt", into=target)


def amazon_roots(certificates: str) -> str:
    """Amazon's roots among the certificates of certifi. Raises ValueError unless there are exactly five."""
    roots = dict(_ROOT_OF_AMAZON.findall(certificates))
    if len(roots) != AMAZON_ROOT_COUNT:
        raise ValueError(f"certifi has other roots of Amazon than expected: {sorted(roots)}")
    return "".join(roots.values())


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
    unfinished = into.with_suffix(f".{os.getpid()}")  # others may build the same beside
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.name not in {"RECORD", "REQUESTED", ".lock"}:
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return unfinished.replace(into)
