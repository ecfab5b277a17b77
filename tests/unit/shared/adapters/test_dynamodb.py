"""shared.adapters.dynamodb: batch reads are complete or fail, and every read is consistent."""

from typing import Any

import pytest

from shared.adapters import bookings, dynamodb, payment_items, webhook_events
from shared.domain.errors import StoreBusy
from tests.harness.builders import paying
from tests.harness.stored_tables import Stored


@pytest.fixture(autouse=True)
def booked(stored: Stored) -> None:
    stored.reservation()
    stored.payment(paying())


def test_unprocessed_keys_are_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real, answers = dynamodb.client(), 0

    class Partial:
        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803
            nonlocal answers
            answers += 1
            [table, *rest] = RequestItems
            answer = real.batch_get_item(RequestItems={table: RequestItems[table]})
            return {"Responses": answer["Responses"], "UnprocessedKeys": {name: RequestItems[name] for name in rest}}

    monkeypatch.setattr(dynamodb, "client", Partial)
    reservation, payment = bookings.read_booking_items("RES-1")
    assert reservation is not None
    assert payment is not None
    assert answers == 2


def test_keys_that_stay_unprocessed_raise_store_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """They must not be taken for missing items."""

    class Throttled:
        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803
            return {"Responses": {}, "UnprocessedKeys": RequestItems}

    monkeypatch.setattr(dynamodb, "client", Throttled)
    with pytest.raises(StoreBusy):
        bookings.read_booking_items("RES-1")


@pytest.mark.defect("D-26")
def test_every_read_is_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Any] = []
    real = dynamodb.client()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            def call(**arguments: Any) -> Any:
                requests.append(arguments)
                return getattr(real, name)(**arguments)

            return call

    monkeypatch.setattr(dynamodb, "client", Watched)
    bookings.read_booking("RES-1")
    payment_items.read_payment("PAY-RES-1")
    webhook_events.event_processed("evt_1")
    tables = [of for request in requests for of in request.get("RequestItems", {"": request}).values()]
    assert len(tables) == 5
    assert all(of["ConsistentRead"] is True for of in tables)
