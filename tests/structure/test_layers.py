"""The layout of the code: the direction of imports, read from the source, and where its tests are.

lambdas → services → adapters → contracts → domain
"""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = sorted((ROOT / "shared").rglob("*.py"))
LAMBDAS = sorted((ROOT / "lambdas").rglob("[!_]*.py"))
SHIPPED = SHARED + LAMBDAS

# Each layer with the layers and modules of shared/ that it may import.
ALLOWED = {
    "domain": {"domain"},
    "contracts": {"contracts", "domain"},
    "adapters": {"adapters", "contracts", "domain", "observability", "settings", "start_up"},
    "services": {"services", "adapters", "contracts", "domain", "observability", "settings"},
    "settings": {"domain"},  # the refund policy is configuration
    "observability": {"start_up"},
    "start_up": set(),
}
OUTSIDE = {"boto3", "botocore", "stripe", "os", "requests", "aws_lambda_powertools", "socket", "urllib"}
DEVELOPMENT = {"console", "local", "infra", "scripts", "statemachines", "tests", "pulumi", "pulumi_aws", "moto"}

# Names that every folder or package may use.
COMMON_NAMES = {"__main__.py", "conftest.py", "handler.py", "__init__.py"}


def layer(path: Path) -> str:
    """`domain` for `shared/domain/ids.py`, and the module's own name for those directly in shared/."""
    return path.relative_to(ROOT / "shared").with_suffix("").parts[0]


PURE = [path for path in SHARED if layer(path) in {"domain", "contracts"} or path.stem == "signature"]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Every module that the file imports, except for type checking; `from a import b` counts as a and a.b."""
    tree = parse(path)
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def module_id(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix(""))


each_module = pytest.mark.parametrize("path", SHIPPED, ids=module_id)


def test_every_module_of_shared_belongs_to_a_layer() -> None:
    assert {layer(path) for path in SHARED} == set(ALLOWED)


@pytest.mark.parametrize("path", SHARED, ids=module_id)
def test_shared_imports_downwards_only(path: Path) -> None:
    assert {name.split(".")[1] for name in imports(path) if name.startswith("shared.")} <= ALLOWED[layer(path)]
    assert "lambdas" not in packages(path)


@pytest.mark.parametrize("path", LAMBDAS, ids=module_id)
def test_no_function_imports_another(path: Path) -> None:
    """Modules of a package may import each other."""
    own = ".".join(path.relative_to(ROOT).parts[:2])
    assert {name for name in imports(path) if name.startswith("lambdas") and not name.startswith(own)} <= {"lambdas"}


@each_module
def test_shipped_code_needs_nothing_of_the_development_tools(path: Path) -> None:
    assert packages(path) & DEVELOPMENT == set()


@pytest.mark.parametrize("path", sorted((ROOT / "console").glob("*.py")), ids=module_id)
def test_the_console_knows_the_http_api_only(path: Path) -> None:
    """Its command reads the outputs of a stack, to find the API."""
    own = {"shared", "lambdas", "local", "infra", "scripts", "statemachines", "boto3"}
    assert packages(path) & own <= ({"scripts"} if path.name == "__main__.py" else set())


@each_module
def test_only_stripe_api_imports_stripe(path: Path) -> None:
    assert ("stripe" in packages(path)) is (path.stem == "stripe_api")


@each_module
def test_each_aws_service_has_one_module(path: Path) -> None:
    services = {
        str(node.args[0].value)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"boto3.client", "boto3.resource"}
        and isinstance(node.args[0], ast.Constant)
    }
    owned = {
        "dynamodb": {"dynamodb"},
        "ledger_files": {"s3"},
        "step_functions": {"stepfunctions"},
        "notifications": {"events", "sns"},
        "secrets": {"ssm"},
    }
    assert services == owned.get(path.stem, set())
    assert ("boto3" in packages(path)) is (path.stem in owned)


@each_module
def test_settings_of_aws_clients_are_in_one_place(path: Path) -> None:
    assert ("botocore.config" in imports(path)) is (path.stem == "aws")


@pytest.mark.parametrize("path", PURE, ids=module_id)
def test_decisions_know_nothing_of_the_outside(path: Path) -> None:
    assert packages(path) & OUTSIDE == set()


@each_module
def test_only_settings_reads_the_environment(path: Path) -> None:
    """And start_up, which must know whether this is Lambda."""
    assert ("os" in packages(path)) is (path.stem in {"settings", "start_up"})


@each_module
def test_nothing_is_done_at_import(path: Path) -> None:
    """No client, secret or setting is read before the first event."""
    called = {
        ast.unparse(node.func)
        for statement in parse(path).body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
    }
    assert not {name for name in called if name.startswith(("boto3.", "client", "settings", "secret", "starter"))}


def test_packages_contain_no_code_of_their_own() -> None:
    """But what must come before all other imports on Lambda."""
    assert [*ROOT.glob("shared/**/__init__.py"), *ROOT.glob("lambdas/**/__init__.py")] == [ROOT / "lambdas/__init__.py"]


@each_module
def test_every_module_has_its_test_file(path: Path) -> None:
    """Its name may have a prefix: `lambdas/payments_api/refunds.py` is tested in `test_api_refunds.py`."""
    folder = (ROOT / "tests" / "unit" / path.relative_to(ROOT)).parent
    assert [*folder.glob(f"test_{path.name}"), *folder.glob(f"test_*_{path.name}")]


def test_no_two_files_of_code_have_the_same_name() -> None:
    folders = ("console", "infra", "lambdas", "local", "scripts", "shared", "statemachines", "tests")
    names = [path.name for folder in folders for path in (ROOT / folder).rglob("*.py") if path.stem[:5] != "test_"]
    assert {name for name, number in Counter(names).items() if number > 1} <= COMMON_NAMES


def test_no_file_of_code_is_too_long() -> None:
    """CONTRIBUTING.md says which may be longer, and why."""
    folders = ("infra", "lambdas", "local", "scripts", "shared", "statemachines", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 300] == []


def test_every_table_of_cases_is_run() -> None:
    """A test runs the table of its own name, or one that it names."""
    for path in (ROOT / "tests").rglob("test_*.yaml"):
        source = path.with_suffix(".py").read_text(encoding="utf-8")
        names = re.findall(r"^(\w+):$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [name for name in names if f"def {name}(" not in source and f'"{name}"' not in source] == []
