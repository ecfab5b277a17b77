"""shared.observability: every log line carries the invocation's ids, and no line those of another invocation."""

import io
import json
from typing import Any

import pytest

from shared.observability import bind, count, entry_point, logger
from tests.harness.lambda_environment import CONTEXT


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@entry_point
def handler(event: dict[str, Any], _: object) -> str:
    bind(refund_id=event.get("refund_id"))
    logger.info("at work")
    if "fail" in event:
        raise LookupError("no reservation RES-1")
    return "done"


@pytest.mark.parametrize(
    ("event", "correlation_id"),
    [({"execution": "RES-1"}, "RES-1"), ({"requestContext": {"requestId": "request-1"}}, "request-1")],
    ids=["a state", "a route"],
)
def test_every_line_carries_the_ids_of_its_invocation(
    event: dict[str, Any], correlation_id: str, log: io.StringIO
) -> None:
    assert handler(event | {"payment_id": "PAY-RES-1", "refund_id": "G1"}, CONTEXT) == "done"
    logger.info("after")
    [during, after] = lines(log)
    assert during["correlation_id"] == correlation_id
    assert (during["payment_id"], during["refund_id"]) == ("PAY-RES-1", "G1")
    assert "payment_id" not in after
    assert "refund_id" not in after


def test_an_error_is_logged_with_its_class_and_raised(log: io.StringIO) -> None:
    with pytest.raises(LookupError):
        handler({"fail": True}, CONTEXT)
    failed = lines(log)[-1]
    assert (failed["message"], failed["error"], failed["reason"]) == ("failed", "LookupError", "no reservation RES-1")


def test_a_metric_is_emitted_at_once_with_its_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    count("NextSteps", next_step="confirm")
    emitted = json.loads(capsys.readouterr().out)
    assert (emitted["NextSteps"], emitted["next_step"]) == ([1.0], "confirm")
    assert emitted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "BookingPayments"
