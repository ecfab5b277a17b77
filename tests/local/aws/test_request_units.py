"""local.aws.request_units: what DynamoDB charges for a request, by AWS's rules for sizes and units."""

from typing import Any

import boto3
import pytest

from local.aws.request_units import MeteredRequest, item_size, meter


@pytest.mark.parametrize(
    ("attribute", "size"),
    [
        ({"S": "é"}, 2),
        ({"N": "0"}, 2),
        ({"N": "45000"}, 2),
        ({"N": "-45000"}, 3),
        ({"N": "179582403740000"}, 7),
        ({"BOOL": True}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"M": {}}, 3),
        ({"M": {"key": {"S": "value"}}}, 12),
        ({"L": [{"S": "a"}, {"M": {}}]}, 9),
    ],
    ids=str,
)
def test_the_size_of_an_attribute_is_its_name_and_its_value(attribute: dict[str, Any], size: int) -> None:
    assert item_size({"name": attribute}) == len("name") + size


@pytest.fixture
def dynamodb(aws: None) -> Any:
    client = boto3.client("dynamodb")
    index: Any = {
        "IndexName": "due-index",
        "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    client.create_table(
        TableName="booking-test-payments",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "due", "group")],
        GlobalSecondaryIndexes=[index],
    )
    meter.start()
    return client


def put(dynamodb: Any, **attributes: str) -> MeteredRequest:
    item = {name: {"S": value} for name, value in attributes.items()}
    dynamodb.put_item(TableName="booking-test-payments", Item=item)
    return meter.stop()[-1]


def test_a_write_costs_the_larger_of_both_items_and_each_entry_of_an_index(dynamodb: Any) -> None:
    units = []
    for attributes in (
        {"text": "x" * 1000},  # with the names, 1,011 bytes
        {"text": "x" * 1020},
        {"text": ""},
        {"due": "1", "group": "a"},
        {"due": "1", "group": "a", "text": "more"},
        {"due": "2", "group": "a"},
        {"due": "2"},
    ):
        meter.start()
        request = put(dynamodb, id="key", **attributes)
        units.append((request.write, request.index))
    assert units == [(1, 0), (2, 0), (2, 0), (2, 1), (1, 0), (3, 2), (2, 1)]


def test_an_operation_of_a_transaction_costs_twice_and_a_check_as_much_as_a_write(dynamodb: Any) -> None:
    table = "booking-test-payments"
    put(dynamodb, id="large", text="x" * 2000)
    meter.start()
    check = {"Key": {"id": {"S": "large"}}, "ConditionExpression": "attribute_exists(id)"}
    new = {"id": {"S": "new"}, "due": {"S": "1"}, "group": {"S": "a"}}
    dynamodb.transact_write_items(
        TransactItems=[{"ConditionCheck": {"TableName": table, **check}}, {"Put": {"TableName": table, "Item": new}}]
    )
    (request,) = meter.stop()
    assert (request.write, request.index) == (4 + 2 + 1, 1)


def test_a_read_costs_by_4_kb_and_half_where_it_need_not_be_consistent(dynamodb: Any) -> None:
    table = "booking-test-payments"
    put(dynamodb, id="large", text="x" * 5000)
    meter.start()
    for consistent in (True, False):
        dynamodb.get_item(TableName=table, Key={"id": {"S": "large"}}, ConsistentRead=consistent)
    keys = [{"id": {"S": name}} for name in ("large", "missing")]
    dynamodb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    assert [request.read for request in meter.stop()] == [2, 1, 3]
