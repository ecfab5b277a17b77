"""actionlint, as `make lint` runs it: it accepts the workflow, and finds each planted fault."""

from pathlib import Path

import pytest

from scripts import check_workflows
from tests.real.conftest import tool_or_skip

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "deploy.yml"

FAULTS = {
    "a permission": ("id-token: write", "id-token: sometimes"),
    "a job": ("needs: check", "needs: chek"),
    "an input of an action": ("role-to-assume:", "role-to-asume:"),
    "an expression": ("vars.STACK }}", "vras.STACK }}"),
    "a key": ("timeout-minutes:", "timeout-minute:"),
}


def test_the_workflow_is_accepted() -> None:
    tool_or_skip(check_workflows.actionlint)
    assert check_workflows.main() == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(tmp_path: Path, fault: str) -> None:
    tool_or_skip(check_workflows.actionlint)
    text, changed = WORKFLOW.read_text(encoding="utf-8"), tmp_path / "deploy.yml"
    assert FAULTS[fault][0] in text
    changed.write_text(text.replace(*FAULTS[fault]), encoding="utf-8")
    assert check_workflows.main(str(changed)) == 1
