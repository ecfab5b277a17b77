"""DynamoDB: no acknowledged write is lost, no item is half visible."""

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import moto.dynamodb.models
import moto.dynamodb.responses
import pytest
from botocore.exceptions import ClientError

from local.aws.patches import dynamodb_lock


def test_failing_transactions_undo_no_other_write(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="payments", Item={"id": {"S": "taken"}})

    def fail(_: int) -> None:
        item = {"id": {"S": "taken"}}
        put = {"TableName": "payments", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
            dynamodb.transact_write_items(TransactItems=[{"Put": put}])

    def add(number: int) -> None:
        dynamodb.update_item(
            TableName="payments",
            Key={"id": {"S": "sum"}},
            UpdateExpression="ADD payments_seen :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        dynamodb.put_item(TableName="payments", Item={"id": {"S": f"item-{number}"}})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: fail(number) if number % 4 == 0 else add(number), range(200)))
    total = dynamodb.get_item(TableName="payments", Key={"id": {"S": "sum"}})["Item"]["payments_seen"]["N"]
    assert total == "150"
    assert dynamodb.scan(TableName="payments")["Count"] == 152


def test_a_new_item_is_visible_only_with_its_attributes(dynamodb: Any) -> None:
    incomplete: list[Any] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            items = dynamodb.scan(TableName="payments")["Items"]
            incomplete.extend(item for item in items if "status" not in item)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(60):
        dynamodb.update_item(
            TableName="payments",
            Key={"id": {"S": str(number)}},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": {"S": "pending"}},
        )
    done.set()
    watcher.join()
    assert incomplete == []


def test_a_transaction_that_is_repeated_with_its_token_is_executed_once(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK repeats it when the answer was lost; ten minutes later the token means nothing any more."""
    put = {"TableName": "payments", "Item": {"id": {"S": "new"}}, "ConditionExpression": "attribute_not_exists(id)"}

    def put_once(token: str) -> None:
        dynamodb.transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken=token)

    put_once("a token")
    put_once("a token")
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        put_once("another token")
    monkeypatch.setattr(dynamodb_lock, "_TOKEN_SECONDS", -1)
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        put_once("a token")


def test_an_empty_expression_is_refused(dynamodb: Any) -> None:
    with pytest.raises(ClientError, match="Invalid ConditionExpression: The expression can not be empty;"):
        dynamodb.put_item(TableName="payments", Item={"id": {"S": "new"}}, ConditionExpression="")
    assert dynamodb.scan(TableName="payments")["Count"] == 0


def test_moto_still_takes_an_empty_expression_for_none(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto.dynamodb.responses.DynamoHandler, "call_action", dynamodb_lock._call_action.original)
    dynamodb.put_item(TableName="payments", Item={"id": {"S": "new"}}, ConditionExpression="")


def test_moto_still_has_no_lock_in_dynamodb() -> None:
    for module in (moto.dynamodb.models, moto.dynamodb.responses):
        assert "lock" not in inspect.getsource(module).lower().replace("block", "").replace("clock", "")
