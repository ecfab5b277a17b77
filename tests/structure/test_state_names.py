"""One name everywhere: the state, its module, its placeholder and the model of its input."""

import pytest

from infra.packaging import handler_modules
from shared.contracts import states
from tests.structure.definitions import ROOT, function_of, module_of, state_of, tasks

NOT_CALLED_BY_A_STATE = {"payments_api", "operations_api", "stripe_webhook", "reconcile_payments", "reconcile_ledger"}


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_state_function_and_placeholder_have_one_name(machine: str, name: str) -> None:
    assert state_of(machine, name)["Arguments"]["FunctionName"] == f"${{{function_of(name)}Arn}}"
    assert (ROOT / "lambdas" / f"{module_of(name)}.py").exists()


@pytest.mark.parametrize(("machine", "name"), tasks("lambda:invoke"))
def test_a_state_sends_what_the_input_of_its_function_takes(machine: str, name: str) -> None:
    fields = vars(states)[f"{function_of(name)}Input"].model_fields
    payload = state_of(machine, name)["Arguments"]["Payload"]
    if isinstance(payload, str):
        assert (
            payload == "{% $merge([$states.context.Execution.Input, {'execution': $states.context.Execution.Name}]) %}"
        )
    else:
        assert {of for of, field in fields.items() if field.is_required()} <= payload.keys() <= fields.keys()


def test_every_function_is_called_by_a_state_or_a_trigger() -> None:
    assert handler_modules().keys() - NOT_CALLED_BY_A_STATE == {module_of(name) for _, name in tasks("lambda:invoke")}
