"""shared.adapters.dynamodb: batch reads are complete or fail, and every read is consistent."""

from decimal import Decimal
from typing import Any

import pytest

from shared.adapters import bookings, dynamodb, payment_items, webhook_events
from shared.adapters.dynamodb import UpdateBuilder, from_item, serialize, to_item
from shared.domain.errors import StoreBusy
from tests.harness.builders import attempt, capture, paying
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
    webhook_events.read_for_event("evt_1", pi="pi_1", payment_id="PAY-RES-1")
    tables = [of for request in requests for of in request.get("RequestItems", {"": request}).values()]
    assert len(tables) == 6
    assert all(of["ConsistentRead"] is True for of in tables)


def test_times_are_stored_as_text_at_every_depth() -> None:
    """DynamoDB has no type for times."""
    item = to_item(paying(captures={"pi_1": capture()}))
    assert item["created_at"] == "2026-11-24T14:00:00.000Z"
    assert item["attempts"]["1"]["opened_at"] == "2026-11-24T14:50:00.000Z"
    assert item["captures"]["pi_1"]["captured_at"] == "2026-11-24T14:59:00.000Z"
    assert "completed_at" not in item


@pytest.mark.defect("D-35")
def test_numbers_are_read_as_integers_and_fractions_stay_what_they_are() -> None:
    assert from_item(serialize({"amount": 5, "refunds": {"G1": {"amount": 7}}, "list": [1]})) == {
        "amount": 5,
        "refunds": {"G1": {"amount": 7}},
        "list": [1],
    }
    assert from_item({"price": {"N": "5.5"}}) == {"price": Decimal("5.5")}


def test_an_update_names_each_attribute_once_and_never_literally() -> None:
    update = UpdateBuilder()
    update.set("attempts.1.status", "open")
    update.set_default("amount", 5)
    update.set_default("amount", 7)
    update.increase("counted", 1)
    update.remove("task_token", "awaiting")
    update.add("notified", "late")
    update.require("status", "pending")
    expression = update.expression()
    assert expression["UpdateExpression"] == (
        "SET #n0.#n1.#n2 = :v0, #n3 = if_not_exists(#n3, :v1), #n4 = if_not_exists(#n4, :v2) + :v3 "
        "REMOVE #n5, #n6 ADD #n7 :v4"
    )
    assert expression["ConditionExpression"] == "(#n2 = :v5)"
    assert list(expression["ExpressionAttributeNames"].values()) == [
        "attempts",
        "1",
        "status",
        "amount",
        "counted",
        "task_token",
        "awaiting",
        "notified",
    ]


def test_only_fields_that_differ_are_updated() -> None:
    update = UpdateBuilder()
    update.set_changed("attempts.1", attempt(), attempt())
    assert update.empty
    update.set_changed("attempts.1", attempt(), attempt(status="closed", checkout_url=None))
    assert update.expression()["UpdateExpression"] == "SET #n0.#n1.#n2 = :v0 REMOVE #n0.#n1.#n3"


def test_an_update_has_no_field_that_is_empty() -> None:
    """DynamoDB refuses it, moto does not."""
    assert UpdateBuilder().remove("late").expression() == {
        "UpdateExpression": "REMOVE #n0",
        "ExpressionAttributeNames": {"#n0": "late"},
    }
