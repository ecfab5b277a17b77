"""Conditions on sizes."""

import inspect
from typing import Any

import pytest

from local.aws.patches import size_of_missing


@pytest.mark.parametrize(("item", "size"), [({}, "0"), ({"open": {"M": {}}}, "1")], ids=["missing", "another"])
def test_a_condition_on_a_size_is_false_as_in_dynamodb(dynamodb: Any, item: dict[str, Any], size: str) -> None:
    dynamodb.put_item(TableName="payments", Item={"id": {"S": "one"}, **item})
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.update_item(
            TableName="payments",
            Key={"id": {"S": "one"}},
            UpdateExpression="REMOVE #open",
            ConditionExpression="size(#open) = :size",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":size": {"N": size}},
        )


def test_moto_still_fails_at_the_size_of_a_missing_attribute() -> None:
    assert "raise ValueError" in inspect.getsource(size_of_missing.size.original)
