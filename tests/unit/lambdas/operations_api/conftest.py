from collections.abc import Callable
from typing import Any

import pytest

from shared.adapters import dynamodb, queries


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The requests to DynamoDB that are made from now on."""
    made: list[object] = []
    calling = dynamodb.call

    def counting(request: Callable[[], Any]) -> Any:
        made.append(request)
        return calling(request)

    for module in (dynamodb, queries):
        monkeypatch.setattr(module, "call", counting)
    return made
