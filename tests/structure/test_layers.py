"""The direction of imports (docs: lambdas → adapters → contracts, domain, errors), read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def layer(path: Path) -> str:
    """`domain` for `shared/domain/ids.py`; the module itself where it stands directly in shared/."""
    return path.relative_to(ROOT / "shared").with_suffix("").parts[0]


SHARED = sorted((ROOT / "shared").rglob("*.py"))
LAMBDAS = sorted((ROOT / "lambdas").rglob("*.py"))
SHIPPED = SHARED + LAMBDAS

# Each layer with the layers and modules of shared/ that it may import: never upwards.
ALLOWED = {
    "domain": {"domain"},
    "contracts": {"contracts", "domain"},
    "adapters": {"adapters", "contracts", "domain", "observability", "settings"},
    "services": {"services", "adapters", "contracts", "domain", "observability", "settings"},
    "settings": set(),
    "observability": set(),
}
PURE = [path for path in SHARED if layer(path) in {"domain", "contracts"} or path.stem == "signature"]
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
    return {name.split(".")[1] for name in imports(path) if name.startswith("shared.")}


def test_every_module_of_shared_belongs_to_a_layer() -> None:
    assert {layer(path) for path in SHARED} == set(ALLOWED)


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_shared_imports_downwards_only(path: Path) -> None:
    assert of_shared(path) <= ALLOWED[layer(path)]
    assert "lambdas" not in packages(path)


@pytest.mark.parametrize("path", LAMBDAS, ids=lambda path: path.stem)
def test_no_function_imports_another(path: Path) -> None:
    own = path.relative_to(ROOT / "lambdas").with_suffix("").parts[0]
    assert "lambdas" not in imports(path)
    assert {name.split(".")[1] for name in imports(path) if name.startswith("lambdas.")} <= {own}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_nothing_of_the_machinery_is_needed_at_run_time(path: Path) -> None:
    assert packages(path) & {"local", "infra", "statemachines", "tests", "pulumi", "pulumi_aws", "moto"} == set()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_only_payments_speaks_to_stripe(path: Path) -> None:
    assert ("stripe" in packages(path)) is (path.stem == "stripe_api")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_each_aws_service_has_one_module(path: Path) -> None:
    services = {
        str(node.args[0].value)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"boto3.client", "boto3.resource"}
        and isinstance(node.args[0], ast.Constant)
    }
    owned = {"dynamodb": {"dynamodb"}, "step_functions": {"stepfunctions"}, "notifications": {"events", "sns"}}
    assert services == owned.get(path.stem, set())
    assert ("boto3" in packages(path)) is (path.stem in owned)


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_decisions_know_nothing_of_the_outside(path: Path) -> None:
    assert packages(path) & OUTSIDE == set()


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
