"""Faults of DynamoDB transactions: conflicts, throttling, lost answers, and writes that come first."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

type Fault = Callable[[Any, dict[str, Any]], Any]


class FaultyClient:
    """A DynamoDB client whose next transaction is handled by `fault(client, arguments)`."""

    def __init__(self, client: Any, fault: Fault) -> None:
        self._client = client
        self._fault: Fault | None = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **arguments: Any) -> Any:
        fault, self._fault = self._fault, None
        return self._client.transact_write_items(**arguments) if fault is None else fault(self._client, arguments)


def unanswered(client: Any, arguments: dict[str, Any]) -> Any:
    """Commit the transaction and lose the answer."""
    client.transact_write_items(**arguments)
    raise ReadTimeoutError(endpoint_url="https://dynamodb.eu-west-1.amazonaws.com")


def overtaken_by(write: Callable[[], None]) -> Fault:
    """Let another write come first, after the state has read the booking."""

    def overtake(client: Any, arguments: dict[str, Any]) -> Any:
        write()
        return client.transact_write_items(**arguments)

    return overtake


def refused(code: str, *reasons: str) -> Fault:
    """Refuse the transaction; `reasons` are the cancellation reasons of its items."""

    def refuse(_: Any, __: dict[str, Any]) -> Any:
        answer: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
        raise ClientError(answer, "TransactWriteItems")

    return refuse


# Refusals that forbid nothing: the state must run again.
BUSY = {
    "conflict": refused("TransactionCanceledException", "TransactionConflict", "None"),
    "conflict and a failed condition": refused(
        "TransactionCanceledException", "TransactionConflict", "ConditionalCheckFailed"
    ),
    "an item throttled": refused("TransactionCanceledException", "None", "ThrottlingError"),
    "an item over its capacity": refused("TransactionCanceledException", "ProvisionedThroughputExceeded"),
    "cancelled without reasons": refused("TransactionCanceledException"),
    "throttled": refused("ThrottlingException"),
    "over capacity": refused("ProvisionedThroughputExceededException"),
    "internal error": refused("InternalServerError"),
    "in progress": refused("TransactionInProgressException"),
}
