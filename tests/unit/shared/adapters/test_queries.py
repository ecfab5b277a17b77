"""shared.adapters.queries: every item is found, a page at a time."""

import pytest

from shared.adapters import queries
from shared.adapters.queries import query_items
from tests.harness.stored_tables import Stored


def test_items_of_all_pages_are_read_in_order(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        stored.put("audit", {"payment_id": "PAY-1", "at_id": str(number)})
    one_page = queries.query
    monkeypatch.setattr(queries, "query", lambda **request: one_page(**request, Limit=2))
    assert [item["at_id"] for item in query_items("audit", {"payment_id": "PAY-1"})] == ["0", "1", "2", "3", "4"]
