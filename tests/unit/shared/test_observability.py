"""shared.observability: every log line carries the invocation's ids, and no line those of another invocation."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, ParamValidationError
from pydantic import BaseModel

from shared.domain.booking import payment_of
from shared.observability import bind, count, entry_point, logger
from shared.services.reconciliation import Report
from tests.harness.builders import booking
from tests.harness.lambda_environment import CONTEXT
from tests.harness.tables import in_table


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@entry_point
def handler(event: dict[str, Any], _: object) -> str:
    bind(refund_id=event.get("refund_id"))
    logger.info("at work")
    if "fail" in event:
        payment_of(booking(None))
    return "done"


@in_table()
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
    assert (failed["message"], failed["error"], failed["reason"]) == (
        "failed",
        "LookupError",
        "no payment item for reservation RES-1",
    )


def test_a_metric_is_emitted_at_once_with_its_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    count("NextSteps", next_step="confirm")
    emitted = json.loads(capsys.readouterr().out)
    assert (emitted["NextSteps"], emitted["next_step"]) == ([1.0], "confirm")
    assert emitted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "BookingPayments"


class Model(BaseModel):
    email: int


def quote_it_in_a_header() -> None:
    requests.get("http://127.0.0.1:9", headers={"Authorization": "Bearer MARKER\n"}, timeout=1)


def quote_it_in_a_model() -> None:
    Model.model_validate({"email": "MARKER"})


def quote_it_in_an_answer_of_aws() -> None:
    raise ClientError({"Error": {"Code": "ValidationException", "Message": "MARKER is invalid"}}, "UpdateItem")


def quote_it_in_a_request_to_aws() -> None:
    raise ParamValidationError(report="Invalid type: MARKER")


def quote_it_in_an_error_of_python() -> None:
    raise RuntimeError("MARKER")


def quote_it_in_a_cause() -> None:
    try:
        int("MARKER")
    except ValueError:
        payment_of(booking(None))


@pytest.mark.defect("R-14")
@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        (quote_it_in_a_header, "InvalidHeader: see where"),
        (quote_it_in_a_model, "ValidationError: email: int_parsing"),
        (quote_it_in_an_answer_of_aws, "ClientError: ValidationException in UpdateItem"),
        (quote_it_in_a_request_to_aws, "ParamValidationError: see where"),
        (quote_it_in_an_error_of_python, "RuntimeError: see where"),
        (quote_it_in_a_cause, "no payment item for reservation RES-1"),
    ],
)
def test_what_other_libraries_quote_is_neither_logged_nor_raised(
    quote: Callable[[], None], reason: str, log: io.StringIO
) -> None:
    @entry_point
    def failing(_: dict[str, Any], __: object) -> None:
        quote()

    with pytest.raises(Exception, match=f"^{reason}$"):
        failing({}, CONTEXT)
    assert not Report(60).attempt(quote)
    assert [line["message"] for line in lines(log)] == ["failed", "cannot reconcile"]
    assert "MARKER" not in log.getvalue()


@pytest.mark.defect("R-14")
def test_only_observability_logs_exceptions() -> None:
    """Their texts and tracebacks may quote keys, requests and items."""
    sources = [path for folder in ("lambdas", "shared") for path in Path(folder).rglob("*.py")]
    forbidden = ("logger.exception", "exc_info", "format_exc", "repr(error")
    assert [
        (path.name, word) for path in sources for word in forbidden if word in path.read_text(encoding="utf-8")
    ] == []


@pytest.mark.defect("R-14")
def test_no_model_quotes_its_input() -> None:
    models = [models_of for base in BaseModel.__subclasses__() for models_of in (base, *base.__subclasses__())]
    ours = [model for model in models if model.__module__.startswith(("shared.", "lambdas."))]
    assert ours
    assert [model.__name__ for model in ours if not model.model_config.get("hide_input_in_errors")] == []
