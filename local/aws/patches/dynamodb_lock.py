"""Gap of moto: its DynamoDB has no lock, so that acknowledged writes vanish and half-written items are visible.

- A failed transaction restores a copy of whole tables, which undoes what others have written meanwhile.
- A new item is visible before its attributes, and iteration breaks while others write.

And it takes an empty expression for none, which AWS refuses; and it executes a transaction again that the SDK repeats
because its answer was lost.

Here one request at a time is processed, from reading the parameters to writing the answer. What made that slow is
replaced too: copying whole tables, and walking through the service's description for every attribute of an item.
"""

import copy
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import moto.dynamodb.models as dynamodb_models
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.utilities import dynamo_json_dump
from moto.dynamodb.responses import DynamoHandler, DynamoResult

from local.aws.aws_account import LOCAL, current_function
from local.aws.aws_faults import STATES
from local.aws.patches.patching import replace, replaces
from local.aws.request_units import meter

_EMPTY_EXPRESSION = re.compile(r'"(\w+Expression)": ""')
_TOKEN_SECONDS = 600  # how long AWS remembers the token of a transaction
_lock = threading.RLock()


@replaces(DynamoHandler, "call_action")
def _call_action(self: Any) -> Any:
    with _lock:
        if empty := _EMPTY_EXPRESSION.search(self.body):
            raise MockValidationException(f"Invalid {empty[1]}: The expression can not be empty;")
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        return measured(self.region, self.headers, operation, self.body, lambda: _call_action.original(self))


def measured[Answer](region: str, headers: Any, operation: str, body: str, serve: Callable[[], Answer]) -> Answer:
    """Serve a request while no other is, and note what it costs."""
    own = f"caller/{LOCAL}" in headers.get("User-Agent", "")
    caller = LOCAL if own else current_function.get() or STATES
    with _lock:
        return meter.measure(region, caller, operation, body, serve)


@replaces(DynamoHandler, "transact_write_items")
def _transact_once(self: Any) -> Any:
    token, now = self.body.get("ClientRequestToken"), time.time()
    executed: dict[str, float] = self.dynamodb_backend.__dict__.setdefault("executed_tokens", {})
    while executed and next(iter(executed.values())) < now - _TOKEN_SECONDS:
        del executed[next(iter(executed))]
    if token in executed:
        return ActionResult({"ConsumedCapacity": [], "ItemCollectionMetrics": {}})
    answer = _transact_once.original(self)
    if token is not None:
        executed[token] = now
    return answer


@replaces(dynamodb_models.DynamoDBBackend, "transact_write_items")
def _transact(self: Any, transact_items: list[dict[str, Any]]) -> Any:
    # To restore the items that the transaction names is enough: under the lock nobody changes others meanwhile.
    before = []
    for item in transact_items:
        ((_, operation),) = item.items()
        table = self.get_table(operation["TableName"])
        key = (operation.get("Item") or operation["Key"])[table.hash_key_attr]
        before.append((table, dynamodb_models.DynamoType(key)))
    kept = [(table, key, copy.deepcopy(table.items.get(key))) for table, key in before]
    try:
        return _transact.original(self, transact_items)
    except Exception:
        for table, key, item in kept:
            if item is None:
                table.items.pop(key, None)
            else:
                table.items[key] = item
        raise


class _CopyExceptTables:
    """The module `copy` as moto's DynamoDB sees it, without the copies of whole tables."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        return value if isinstance(value, dynamodb_models.Table) else copy.deepcopy(value)


replace(dynamodb_models, "copy", _CopyExceptTables)


@replaces(DynamoResult, "execute_result")
def _serialize(self: Any, _: Any) -> Any:
    # The result is JSON already.
    result = {name: value for name, value in self._result.items() if value is not None}
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": str(uuid.uuid4())}
    return 200, headers, dynamo_json_dump(result)
