"""Functions with their environment, roles and logs."""

import json
import re

import pytest

from shared.settings import LedgerSettings, ReportingSettings, Settings, StarterSettings
from tests.infra.deployed import (
    FUNCTIONS,
    HANDLER_MODULES,
    LEDGER_RECONCILER,
    RECONCILER,
    ROOT,
    STARTERS,
    allowed,
    inputs,
)
from tests.infra.worker import Seen


def test_each_function_is_named_after_its_module(stack: Seen) -> None:
    made = {name: (f["Handler"], f["Timeout"]) for name, f in stack.functions.items()}
    assert made == {
        f"booking-local-{name}": (f"lambdas.{HANDLER_MODULES.get(name, name.replace('-', '_'))}.handler", timeout)
        for name, timeout in FUNCTIONS.items()
    }
    assert {(f["Runtime"], *f["Architectures"]) for f in stack.functions.values()} == {("python3.13", "arm64")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_environment_of_a_function_is_the_settings_model(stack: Seen, name: str) -> None:
    fields = {field.upper() for field in Settings.model_fields}
    if name in STARTERS:
        fields |= {field.upper() for field in StarterSettings.model_fields}
    if name in {"reconcile-ledger", "operations-api"}:
        fields |= {field.upper() for field in LedgerSettings.model_fields}
    if name == "reconcile-ledger":
        fields |= {field.upper() for field in ReportingSettings.model_fields}
    environment = stack.functions[f"booking-local-{name}"]["Environment"]["Variables"]
    powertools = {
        "POWERTOOLS_SERVICE_NAME": "booking-local",
        "POWERTOOLS_METRICS_NAMESPACE": "BookingPayments",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_LOGGER_LOG_EVENT": "false",
    }
    assert environment.keys() == fields | powertools.keys()
    assert powertools.items() <= environment.items()
    Settings.model_validate({key.lower(): value for key, value in environment.items()})


def documented() -> dict[str, set[tuple[str, str]]]:
    """Return action and resource of every permission, by role, from docs/permissions.md."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in (ROOT / "docs" / "permissions.md").read_text().splitlines():
        if line.startswith("## booking-local-"):
            role = line.removeprefix("## booking-local-")
        elif row := re.match(r"\| (\w+:\w+) \| `(.+)`", line):
            found.setdefault(role, set()).add((row[1], f"arn:aws:{row[2]}"))
    return found


@pytest.mark.defect("D-45")
def test_each_role_may_do_what_is_documented_and_nothing_else(stack: Seen) -> None:
    """test_least_privilege.py shows that docs/permissions.md lists what the calls need."""
    permitted = {
        role: {(action, resource) for resource, actions in allowed(stack, role).items() for action in actions}
        for role in inputs(stack, "aws:iam/rolePolicy:RolePolicy")
    }
    assert permitted.pop("reconcile-payments-schedule") == {("lambda:InvokeFunction", RECONCILER)}
    assert permitted.pop("reconcile-ledger-schedule") == {("lambda:InvokeFunction", LEDGER_RECONCILER)}
    assert permitted == documented()


@pytest.mark.defect("D-45")
def test_every_function_has_its_own_role(stack: Seen) -> None:
    roles = [function["Role"] for function in stack.functions.values()]
    assert len(set(roles)) == len(roles) == len(FUNCTIONS)


def test_no_permission_has_a_wildcard_except_where_aws_has_no_resource_names(stack: Seen) -> None:
    for policy in inputs(stack, "aws:iam/rolePolicy:RolePolicy").values():
        for statement in json.loads(policy["policy"])["Statement"]:
            assert not [action for action in statement["Action"] if "*" in action]
            if "*" in statement["Resource"]:
                assert all(action.startswith(("xray:", "logs:")) for action in statement["Action"])


def test_a_function_writes_to_its_own_log_only(stack: Seen) -> None:
    for name in FUNCTIONS:
        policy = json.loads(inputs(stack, "aws:iam/rolePolicy:RolePolicy")[name]["policy"])
        (writing,) = [s for s in policy["Statement"] if s["Action"][0].startswith("logs:")]
        log = f"arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/booking-local-{name}:*"
        assert writing["Resource"] == [log]
        function = inputs(stack, "aws:lambda/function:Function")[name]
        assert function["loggingConfig"]["logGroup"] == f"/aws/lambda/booking-local-{name}"


def test_logs_are_deleted_after_30_days(stack: Seen) -> None:
    groups = inputs(stack, "aws:cloudwatch/logGroup:LogGroup")
    assert {group["retentionInDays"] for group in groups.values()} == {30}


def test_every_function_publishes_versions_and_has_the_alias_live(stack: Seen) -> None:
    functions = inputs(stack, "aws:lambda/function:Function")
    assert {function["publish"] for function in functions.values()} == {True}
    aliases = inputs(stack, "aws:lambda/alias:Alias")
    assert aliases.keys() == functions.keys()
    assert {(alias["name"], alias["functionVersion"]) for alias in aliases.values()} == {("live", "1")}
