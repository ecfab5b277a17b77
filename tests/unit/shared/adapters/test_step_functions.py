"""shared.adapters.step_functions: executions start once per name, and a signal reaches a state that waits."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.adapters import step_functions
from shared.contracts.states import RESERVATION_ID, RefundExecutionInput
from shared.domain.errors import WorkflowUnavailable
from shared.domain.models import Replacement
from shared.settings import starter_settings
from tests.harness.builders import NOW, payment
from tests.harness.fake_aws_clients import FakeAws, client_error

REFUND = RefundExecutionInput.unapplied(payment(), "pi_1", "REF-pi_1", requested_by="webhook")


@pytest.mark.parametrize(("restarts", "name"), [(0, "RES-1"), (2, "PAY-RES-1-r2")])
def test_a_payment_starts_once_under_the_name_of_its_restart(fake_aws: FakeAws, restarts: int, name: str) -> None:
    newest = Replacement(number=restarts, step=0, progress="")
    replaced = payment(replacements={"payment": newest} if restarts else {})
    assert step_functions.start_payment(replaced)
    assert not step_functions.start_payment(replaced)
    assert fake_aws.started_names == [name]


@pytest.mark.defect("R-15")
@pytest.mark.parametrize("other", ["RES-1-r1", "RES-1-r1-r1", "PAY-RES-1-r1", "REF-1", "failed-re_1"])
def test_no_reservation_can_have_the_name_of_a_replacement(fake_aws: FakeAws, other: str) -> None:
    """Every id that the API accepts as a reservation's differs from every name that is derived from another id."""
    derived = {step_functions.payment_execution_name(of, restart) for of in ("RES-1", other) for restart in (1, 2)}
    assert len(derived) == 4
    assert RESERVATION_ID.fullmatch(other) is None or other not in derived


def test_a_refund_starts_once(fake_aws: FakeAws) -> None:
    assert step_functions.start_refund("REF-pi_1", REFUND)
    assert not step_functions.start_refund("REF-pi_1", REFUND)
    assert fake_aws.started == [("REF-pi_1", json.loads(REFUND.to_json()))]


def test_an_execution_is_described_by_the_machine_and_not_by_its_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:refund"

    class Client:
        def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
            assert executionArn == "arn:aws:states:eu-west-1:123456789012:execution:refund:REF-pi_1"
            return {"status": "SUCCEEDED", "output": '{"refused": "NotRefundable"}', "startDate": NOW}

    monkeypatch.setattr(step_functions, "_client", Client)
    for machine in (arn, f"{arn}:live"):
        monkeypatch.setenv("REFUND_STATE_MACHINE_ARN", machine)
        starter_settings.cache_clear()
        execution = step_functions.refund_execution("REF-pi_1")
        assert execution == step_functions.Execution("SUCCEEDED", {"refused": "NotRefundable"}, NOW)
        assert not execution.runs
    starter_settings.cache_clear()


def test_an_execution_that_does_not_exist_is_missing(fake_aws: FakeAws) -> None:
    assert step_functions.refund_execution("REF-pi_1") == step_functions.MISSING
    step_functions.start_refund("REF-pi_1", REFUND)
    assert step_functions.refund_execution("REF-pi_1").runs


def test_a_token_is_used_once_and_never_logged(fake_aws: FakeAws, log: io.StringIO) -> None:
    assert step_functions.signal("token", "refresh")
    assert not step_functions.signal("token", "refresh")
    assert fake_aws.signalled == [("token", "refresh")]
    assert [json.loads(line)["signal"] for line in log.getvalue().splitlines()] == ["refresh"]
    assert '"token"' not in log.getvalue()


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingException", WorkflowUnavailable), ("InvalidToken", ClientError), ("AccessDenied", ClientError)],
)
def test_only_a_busy_service_is_worth_a_retry(fake_aws: FakeAws, code: str, expected: type[Exception]) -> None:
    for call in (
        lambda: step_functions.signal("token", "refresh"),
        lambda: step_functions.start_refund("REF-pi_1", REFUND),
        lambda: step_functions.refund_execution("REF-pi_1"),
    ):
        fake_aws.failures = [client_error(code)]
        with pytest.raises(expected):
            call()


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_state_that_no_longer_waits_is_no_error(fake_aws: FakeAws, code: str) -> None:
    fake_aws.failures = [client_error(code)]
    assert not step_functions.signal("token", "refresh")


def test_a_history_is_read_to_its_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    class Paged:
        def get_execution_history(self, **request: Any) -> Any:
            page = int(request.get("nextToken", "1"))
            return {"events": [{"id": page}], **({"nextToken": str(page + 1)} if page < 3 else {})}

    monkeypatch.setattr(step_functions, "_client", Paged)
    assert list(step_functions.history("payment", "RES-1")) == [{"id": 1}, {"id": 2}, {"id": 3}]
