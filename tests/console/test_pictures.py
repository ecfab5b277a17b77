from typing import Any

import pytest

from console.pictures import picture, state_classes, summary
from tests.console.samples import EXECUTION
from tests.structure.definitions import MACHINES

DONE = {"RecordPayment": "done", "CreateCheckoutSession": "done"}


@pytest.mark.parametrize(
    ("status", "last", "described"),
    [
        ("RUNNING", "here last", "running, in AwaitPayment"),
        ("SUCCEEDED", "done last", "finished in AwaitPayment"),
        ("FAILED", "failed last", "failed in AwaitPayment"),
        ("ABORTED", "failed last", "stopped in AwaitPayment"),
        ("TIMED_OUT", "failed last", "timed out in AwaitPayment"),
    ],
)
def test_a_picture_shows_where_an_execution_is_or_ended(status: str, last: str, described: str) -> None:
    execution: dict[str, Any] = {**EXECUTION, "status": status}
    assert state_classes(execution) == {**DONE, "AwaitPayment": last}
    assert summary(execution) == described
    drawn = picture(execution)
    assert f'<g id="AwaitPayment" class="node {last}"' in drawn
    assert '<g id="ReleaseHold" class="node not-reached"' in drawn
    assert '<g id="CreateCheckoutSession-&gt;AwaitPayment" class="edge taken"' in drawn
    assert '<g id="AwaitPayment-&gt;VerifyPayment" class="edge "' in drawn
    assert f"execution RES-1: {described}" in drawn


def test_an_execution_that_has_just_started_has_reached_nothing() -> None:
    execution: dict[str, Any] = {**EXECUTION, "states": []}
    assert summary(execution) == "running, in its start"
    assert picture(execution).count("not-reached") == len(MACHINES["payment"]["States"])


def test_the_ids_of_a_second_picture_differ_and_nothing_in_it_has_a_style_of_its_own() -> None:
    drawn = picture({**EXECUTION, "workflow": "refund", "states": []}, prefix="refund-")
    assert '<g id="refund-AwaitOperator" class="node not-reached"' in drawn
    assert "style=" not in drawn
    assert "<title" not in drawn
