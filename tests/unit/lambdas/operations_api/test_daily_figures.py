"""lambdas.operations_api.daily_figures: the payments of the last days, counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.operations_api import handler
from shared.adapters.dynamodb import to_item
from shared.domain.models import Dispute
from tests.harness.builders import HOUR, MINUTE, NOW, TOTAL, attempt, closed, payment
from tests.harness.payments_api_calls import OPERATOR, Answer, call
from tests.harness.stored_tables import Stored

DAY = timedelta(days=1)

pytestmark = pytest.mark.usefixtures("clock")


def ask(**query: str) -> Answer:
    return call("GET", "/payments-by-day", claims=OPERATOR, query=query or None, function=handler)


def store(stored: Stored, name: str, **changes: Any) -> None:
    stored.payment(payment(**{"payment_id": f"PAY-{name}", "reservation_id": name, **changes}))


def counted(answer: Answer, day: str) -> dict[str, int]:
    """What is not zero on a day."""
    (found,) = [figures for figures in answer.body["days"] if figures["day"] == day]
    return {name: number for name, number in found.items() if number and name != "day"}


def test_payments_count_on_the_day_on_which_they_were_started_as_they_are_now(stored: Stored) -> None:
    dispute = Dispute(status="needs_response", payment_intent="pi_1", amount=TOTAL, opened_at=NOW)
    store(stored, "waits", attempts={"1": closed(), "2": closed(), "3": attempt()}, current_attempt="3")
    store(stored, "paid", status="completed", amount=TOTAL, attempts={"1": closed()}, disputes={"dp_1": dispute})
    store(stored, "released", status="expired", attempts={"1": closed()}, current_attempt="1")
    store(stored, "partly", status="partially_refunded", amount=TOTAL, refund_amount=500, created_at=NOW - 2 * DAY)
    answer = ask(days="3")
    assert counted(answer, "2026-11-24") == {
        "started": 3, "waiting": 1, "failed_attempts": 4, "paid": 1, "paid_amount": TOTAL, "released": 1,
        "disputed": 1, "disputed_amount": TOTAL,
    }  # fmt: skip
    assert counted(answer, "2026-11-22") == {
        "started": 1, "paid": 1, "paid_amount": TOTAL, "refunded": 1, "refunded_amount": 500,
    }  # fmt: skip


def test_a_payment_without_refunds_has_no_totals_yet_and_counts_as_not_refunded(stored: Stored) -> None:
    """RecordPayment writes none."""
    item = to_item(payment())
    stored.put("payments", {name: value for name, value in item.items() if not name.startswith("refund")})
    assert counted(ask(), "2026-11-24") == {"started": 1, "waiting": 1}


def test_a_day_begins_at_midnight_at_the_property(stored: Stored) -> None:
    midnight = datetime(2026, 11, 23, 23, tzinfo=UTC)  # in Madrid
    store(stored, "before", created_at=midnight - timedelta(milliseconds=1))
    store(stored, "after", created_at=midnight)
    assert [day["started"] for day in ask(days="2").body["days"]] == [1, 1]
    assert [day["started"] for day in ask(days="1").body["days"]] == [1]
    assert [day["day"] for day in ask().body["days"]] == [f"2026-11-{day}" for day in range(11, 25)]


def test_the_holds_that_end_within_two_hours_are_listed_the_next_one_first(stored: Stored) -> None:
    for name, left in (("over", -MINUTE), ("second", 2 * HOUR - MINUTE), ("later", 2 * HOUR), ("first", MINUTE)):
        store(stored, name, hold_expires_at=NOW + left)
    store(stored, "paid", status="completed", hold_expires_at=NOW + HOUR)
    assert ask().body["holds_ending"] == [
        {"reservation_id": "first", "hold_expires_at": "2026-11-24T15:01:00.000Z"},
        {"reservation_id": "second", "hold_expires_at": "2026-11-24T16:59:00.000Z"},
    ]


def test_a_hundred_payments_cost_one_request(stored: Stored, requests: list[object]) -> None:
    for number in range(200):
        store(stored, f"RES-{number}", created_at=NOW - number * MINUTE)
    requests.clear()
    assert sum(day["started"] for day in ask().body["days"]) == 200
    assert len(requests) == 2 + 1  # the first lists their keys


@pytest.mark.parametrize("days", ["0", "32", "x"])
def test_a_wrong_number_of_days_is_refused(stored: Stored, days: str) -> None:
    assert ask(days=days).error == (400, "INVALID_REQUEST")
