"""Runs functions from the archive that they were published with, many archives and environments in one process.

On AWS every version of a function has its own containers. Here a container is a package `container_…` that holds the
modules of the archive: they import each other from this package, and their `os.environ` is the version's environment.
"""

import builtins
import hashlib
import importlib
import io
import json
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


WORKING_TREE = zipped({"empty": b""})
"""The archive of a function whose handler is to run from the working tree."""


_lock = threading.RLock()
_containers: dict[str, "_Container"] = {}


class _Container:
    """One unpacked archive with one environment."""

    def __init__(self, name: str, code: bytes, environment: Mapping[str, str]) -> None:
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix="booking-function-")
        zipfile.ZipFile(io.BytesIO(code)).extractall(self._folder.name)
        self._ours = {path.name for path in os.scandir(self._folder.name) if path.is_dir()}
        self._os = ModuleType("os")
        environ = {**os.environ, **environment}
        vars(self._os).update({**vars(os), "environ": environ, "getenv": environ.get})
        package = ModuleType(name)
        package.__path__ = [self._folder.name]
        sys.modules[name] = package

    def import_(
        self, name: str, globals_: Any = None, locals_: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> Any:
        """The `__import__` of the archive's modules."""
        top = name.partition(".")[0]
        if level == 0 and name == "os":
            return self._os
        if level == 0 and top in self._ours:
            module = builtins.__import__(f"{self._name}.{name}", globals_, locals_, fromlist, 0)
            return module if fromlist else sys.modules[f"{self._name}.{top}"]
        return builtins.__import__(name, globals_, locals_, fromlist, level)

    def close(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == self._name]:
            del sys.modules[name]
        self._folder.cleanup()


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        container = _containers[module.__name__.partition(".")[0]]
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": container.import_}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del target
        if fullname.partition(".")[0] not in _containers:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


_finder = _Finder()


def module(code: bytes, environment: Mapping[str, str], name: str) -> ModuleType:
    """The module `name` of the archive, imported with this environment. Raises ImportError."""
    key = hashlib.sha256(code + json.dumps(environment, sort_keys=True).encode()).hexdigest()[:16]
    container = f"container_{key}"
    with _lock:
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
        if container not in _containers:
            _containers[container] = _Container(container, code, environment)
        return importlib.import_module(f"{container}.{name}")


def forget() -> None:
    """Remove all containers."""
    with _lock:
        while _containers:
            _containers.popitem()[1].close()
