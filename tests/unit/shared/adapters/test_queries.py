"""shared.adapters.queries: every page of a query is read."""

from typing import Any

import pytest

from shared.adapters import queries


class Paged:
    """Three pages of one item each."""

    def query(self, **request: Any) -> Any:
        page = int(request.get("ExclusiveStartKey", {"n": "1"})["n"])
        more = {"LastEvaluatedKey": {"n": str(page + 1)}} if page < 3 else {}
        return {"Items": [{"payment_id": {"S": f"PAY-{page}"}}], **more}


def test_an_index_and_a_table_are_read_to_their_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "client", Paged)
    index = queries.query_index("payments", "due-index", condition="due_shard = :shard", values={":shard": "1"})
    table = queries.query_items("audit", {"payment_id": "PAY-1"})
    for found in (index, table):
        assert [item["payment_id"] for item in found] == ["PAY-1", "PAY-2", "PAY-3"]
