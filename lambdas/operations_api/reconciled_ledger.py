"""GET /payments-ledger and below: the days that were reconciled with Stripe, and the transactions of each."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field

from lambdas.operations_api.operations_router import router
from shared.adapters import ledger_files
from shared.contracts.ledger_summary import Day, LedgerDay, LedgerDaysResponse, LedgerTransactionsResponse
from shared.domain.api_errors import ApiError
from shared.services import http_api

PAGE = 14  # days


class DaysQuery(BaseModel):
    """`before`: only days before this one; without it, the newest."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    before: Day | None = None


class TransactionsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    offset: Annotated[int, Field(ge=0)] = 0


@router.get("/payments-ledger")
def list_days() -> Response[str]:
    """Two weeks of reconciled days, newest first."""
    http_api.require_operator(http_api.identify_caller())
    before = http_api.parse_query(DaysQuery).before
    end = datetime.now(UTC).date() + timedelta(days=1) if before is None else _parse(before)
    first = end - timedelta(days=PAGE)
    known = sorted((day for day in ledger_files.days_since(first) if day < end), reverse=True)
    found = [day for day in map(ledger_files.read_day, known) if day is not None]
    return http_api.json_response(200, LedgerDaysResponse(days=found, before=first.isoformat()))


@router.get("/payments-ledger/<day>")
def read_day(day: str) -> Response[str]:
    """The summary of a day."""
    return http_api.json_response(200, _find(day))


@router.get("/payments-ledger/<day>/transactions")
def read_transactions(day: str) -> Response[str]:
    """A part of the day's CSV; `next` is the offset of the part that follows."""
    summary = _find(day)
    offset = http_api.parse_query(TransactionsQuery).offset
    try:
        text, following = ledger_files.read_rows(_parse(summary.day), offset)
    except LookupError as error:
        raise ApiError("NOT_FOUND", "day") from error
    return http_api.json_response(200, LedgerTransactionsResponse(csv=text, next=following))


def _find(day: str) -> LedgerDay:
    http_api.require_operator(http_api.identify_caller())
    summary = ledger_files.read_day(_parse(day))
    if summary is None:
        raise ApiError("NOT_FOUND", "day")
    return summary


def _parse(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError as error:
        raise ApiError("INVALID_REQUEST", details={"day": "Must be a date such as 2026-11-27."}) from error
