"""GET /payments: list, filter and search, newest first; the operators' queue, oldest first."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lambdas.operations_api.operations_router import router
from shared.adapters import pointers
from shared.adapters.payment_list import ALL, QUEUE, ListKey, read_rows, read_step
from shared.contracts.field_errors import describe_errors
from shared.contracts.operations_bodies import PaymentListResponse, PaymentRow, matter_records
from shared.domain.api_errors import ApiError
from shared.domain.ids import payment_id_of, unapplied_refund_id
from shared.domain.models import Instant, Matter, PaymentStatus, optional_iso
from shared.observability import logger
from shared.services import http_api

MAX_STEPS = 4  # of 50 payments; a page with a rare filter is cut off here, and its cursor goes on
_FIRST, _LAST = "0", "9"  # before and after every time


class ListQuery(BaseModel):
    """The query parameters; times are ISO 8601, and both ends are part of the range."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: str | None = None
    status: PaymentStatus | None = None
    customer_id: str | None = None
    attention: Literal["true"] | None = None
    created_from: Instant | None = None
    created_to: Instant | None = None
    q: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)] | None = None


@router.get("/payments")
def list_payments() -> Response[str]:
    """A page of payments; a search (`q`) has at most one."""
    http_api.require_operator(http_api.identify_caller())
    query = http_api.parse_query(ListQuery)
    body = _search(query.q) if query.q is not None else _page(query)
    return http_api.json_response(200, body)


def _page(query: ListQuery) -> PaymentListResponse:
    rows: list[PaymentRow] = []
    after = None if query.cursor is None else _parse_cursor(query.cursor)
    listed, start, end = ALL, optional_iso(query.created_from), optional_iso(query.created_to)
    if query.attention:
        listed, start, end = QUEUE, None, None
    for _ in range(MAX_STEPS):
        found, after = read_step(listed, start=start or _FIRST, end=end or _LAST, after=after)
        for position, (payment, reservation) in enumerate(found):
            if _matches(query, payment):
                rows += _rows(payment, reservation)
            if len(rows) == query.limit:
                more = after is not None or position + 1 < len(found)
                return PaymentListResponse(payments=rows, cursor=_cursor(listed.key(payment)) if more else None)
        if after is None:
            break
    return PaymentListResponse(payments=rows, cursor=None if after is None else _cursor(after))


def _matches(query: ListQuery, payment: Mapping[str, Any]) -> bool:
    created_at = payment.get("created_at", "")
    return (
        query.status in {None, payment.get("status")}
        and query.customer_id in {None, payment.get("customer_id")}
        and (optional_iso(query.created_from) or _FIRST) <= created_at <= (optional_iso(query.created_to) or _LAST)
        # The index may lag behind.
        and (query.attention is None or "attention_since" in payment)
    )


def _search(wanted: str) -> PaymentListResponse:
    """The payment of a reservation id, payment id, PaymentIntent or refund id."""
    payment_id = wanted
    wanted = wanted.removeprefix(unapplied_refund_id(""))
    if wanted.startswith("pi_"):
        pointer = pointers.read_pointer(wanted)
        payment_id = "" if pointer is None else pointer.payment_id
    elif not wanted.startswith(payment_id_of("")):
        payment_id = payment_id_of(wanted)
    rows = read_rows([payment_id, payment_id.rpartition("-")[0]]) if payment_id else []
    found = [row for payment, reservation in rows for row in _rows(payment, reservation)]
    return PaymentListResponse(payments=found[:1])


def _rows(payment: Mapping[str, Any], reservation: Mapping[str, Any]) -> list[PaymentRow]:
    """The row; none for an item that cannot be read, which is logged."""
    fields = {name: payment.get(name) for name in PaymentRow.model_fields if payment.get(name) is not None}
    status = reservation.get("status")
    try:
        attention = [Matter.model_validate(matter) for matter in payment.get("attention", {}).values()]
        fields["attention"] = matter_records(attention)
        row = PaymentRow.model_validate({"refund_amount": 0, **fields, "reservation_status": status and str(status)})
    except ValidationError as error:
        logger.error("payment invalid", payment_id=payment["payment_id"], problems=describe_errors(error))
        return []
    return [row]


def _cursor(key: ListKey) -> str:
    return base64.urlsafe_b64encode(json.dumps([key.payment_id, key.at]).encode()).decode()


def _parse_cursor(cursor: str) -> ListKey:
    try:
        payment_id, at = json.loads(base64.urlsafe_b64decode(cursor))
        datetime.fromisoformat(at)
        return ListKey(payment_id=str(payment_id), at=at)
    except (TypeError, ValueError) as error:
        raise ApiError("INVALID_REQUEST", details={"cursor": "Must be the cursor of an earlier page."}) from error
