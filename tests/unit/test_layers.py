"""The direction of imports (docs: lambdas → adapters → contracts, domain, errors), read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = sorted((ROOT / "shared").glob("*.py"))
LAMBDAS = sorted((ROOT / "lambdas").glob("*.py"))
SHIPPED = SHARED + LAMBDAS

# Each module of shared/ with those of shared/ that it may import: never upwards, no circle.
ALLOWED = {
    "errors": set(),
    "models": set(),
    "signature": set(),
    "settings": set(),
    "observability": set(),
    "domain": {"models"},
    "contracts": {"models"},
    "secrets": {"errors"},
    "payments": {"errors", "models", "observability", "secrets", "settings"},
    "store": {"domain", "errors", "models", "settings"},
    "workflow": {"errors", "models", "observability", "settings"},
    "announcements": {"errors", "observability", "settings"},
    "stripe_events": {
        "announcements",
        "contracts",
        "domain",
        "errors",
        "models",
        "observability",
        "store",
        "workflow",
    },
    "verdicts": {"contracts", "domain", "models", "observability", "settings", "store"},
}
PURE = ("domain", "models", "errors", "contracts", "signature")
OUTSIDE = {"boto3", "botocore", "stripe", "os", "requests", "aws_lambda_powertools", "socket", "urllib"}


def imports(path: Path) -> set[str]:
    """Every module that is imported anywhere in the file, type checking excepted; `from a import b` as a and a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
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


def of_shared(path: Path) -> set[str]:
    modules = {module.stem for module in SHARED}
    return {name.split(".")[1] for name in imports(path) if name.startswith("shared.")} & modules


def test_every_module_of_shared_has_its_place() -> None:
    assert {path.stem for path in SHARED} == set(ALLOWED)


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_shared_imports_downwards_only(path: Path) -> None:
    assert of_shared(path) <= ALLOWED[path.stem]
    assert "lambdas" not in packages(path)


@pytest.mark.parametrize("path", LAMBDAS, ids=lambda path: path.stem)
def test_no_function_imports_another(path: Path) -> None:
    assert "lambdas" not in packages(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_nothing_of_the_machinery_is_needed_at_run_time(path: Path) -> None:
    assert packages(path) & {"local", "infra", "statemachines", "tests", "pulumi", "pulumi_aws", "moto"} == set()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_only_payments_speaks_to_stripe(path: Path) -> None:
    assert ("stripe" in packages(path)) is (path.stem == "payments")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_each_aws_service_has_one_module(path: Path) -> None:
    services = {
        str(node.args[0].value)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"boto3.client", "boto3.resource"}
        and isinstance(node.args[0], ast.Constant)
    }
    owned = {"store": {"dynamodb"}, "workflow": {"stepfunctions"}, "announcements": {"events", "sns"}}
    assert services == owned.get(path.stem, set())
    assert ("boto3" in packages(path)) is (path.stem in owned)


@pytest.mark.parametrize("name", PURE)
def test_decisions_know_nothing_of_the_outside(name: str) -> None:
    assert packages(ROOT / "shared" / f"{name}.py") & OUTSIDE == set()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_only_settings_reads_the_environment(path: Path) -> None:
    assert ("os" in packages(path)) is (path.stem == "settings")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_nothing_is_done_at_import(path: Path) -> None:
    """No client, no secret, no setting before the first event: a module level call only makes a value."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {
        ast.unparse(node.func)
        for statement in tree.body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
    }
    assert not {name for name in called if name.startswith(("boto3.", "settings", "secret", "store.", "starter"))}


def test_no_code_hides_in_packages() -> None:
    assert [*ROOT.glob("shared/**/__init__.py"), *ROOT.glob("lambdas/**/__init__.py")] == []
