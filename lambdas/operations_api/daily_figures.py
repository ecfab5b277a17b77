"""GET /payments-by-day: how the payments of the last days went, by the day on which they were started.

Reads each of these payments, a hundred with one request.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field

from lambdas.operations_api.operations_router import router
from shared.adapters.payment_list import read_since
from shared.contracts.operations_bodies import DayFigures, EndingHold, PaymentsByDayResponse
from shared.domain.models import iso
from shared.services import http_api
from shared.settings import settings

SOON = timedelta(hours=2)
PAID = frozenset({"completed", "partially_refunded", "refunded"})


class DaysQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    days: Annotated[int, Field(ge=1, le=31)] = 14


@router.get("/payments-by-day")
def count_by_day() -> Response[str]:
    """The days at the property, today last."""
    http_api.require_operator(http_api.identify_caller())
    number = http_api.parse_query(DaysQuery).days
    now, zone = datetime.now(UTC), settings().time_zone
    first = now.astimezone(zone).date() - timedelta(days=number - 1)
    days = {first + timedelta(days=day): DayFigures(day=str(first + timedelta(days=day))) for day in range(number)}
    holds: list[EndingHold] = []
    for payment in read_since(iso(datetime.combine(first, time(), zone))):
        day = datetime.fromisoformat(payment["created_at"]).astimezone(zone).date()
        if day in days:  # and not tomorrow, by another clock
            days[day] = _counted(days[day], payment)
        if payment["status"] == "pending" and iso(now) < payment["hold_expires_at"] < iso(now + SOON):
            holds.append(EndingHold.model_validate({name: payment.get(name) for name in EndingHold.model_fields}))
    holds.sort(key=lambda hold: hold.hold_expires_at)
    return http_api.json_response(200, PaymentsByDayResponse(days=list(days.values()), holds_ending=holds))


def _counted(day: DayFigures, payment: Mapping[str, Any]) -> DayFigures:
    paid, refunded = payment["status"] in PAID, payment.get("refund_amount", 0)
    disputed = [dispute["amount"] for dispute in payment.get("disputes", {}).values()]
    more = {
        "started": 1,
        "waiting": payment["status"] == "pending",
        "failed_attempts": sum(attempt["status"] == "closed" for attempt in payment.get("attempts", {}).values()),
        "paid": paid,
        "paid_amount": payment.get("amount", 0) if paid else 0,
        "released": payment["status"] == "expired",
        "refunded": refunded > 0,
        "refunded_amount": refunded,
        "disputed": bool(disputed),
        "disputed_amount": sum(disputed),
    }
    return day.model_copy(update={name: getattr(day, name) + int(value) for name, value in more.items()})
