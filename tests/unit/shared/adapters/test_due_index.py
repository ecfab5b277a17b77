"""shared.adapters.due_index: what is due, and where the lists go on."""

from datetime import timedelta

from shared.adapters import due_index
from shared.domain.models import iso
from tests.harness.builders import NOW, payment
from tests.harness.stored_tables import Stored

MINUTE = timedelta(minutes=1)


def test_a_payment_that_could_not_be_reconciled_comes_later_unless_it_was_rescheduled(stored: Stored) -> None:
    stored.payment(payment(due_at=NOW, due_shard="a"))
    assert list(due_index.due_payments("a", NOW)) == [("PAY-RES-1", iso(NOW))]
    assert not due_index.postpone("PAY-RES-1", due_at=iso(NOW - MINUTE), until=NOW + MINUTE)
    assert due_index.postpone("PAY-RES-1", due_at=iso(NOW), until=NOW + MINUTE)
    assert (due_index.count_due("a", NOW), due_index.count_due("a", NOW + MINUTE)) == (0, 1)


def test_a_position_is_kept_until_the_list_is_done(stored: Stored) -> None:
    assert due_index.read_position("holds") is None
    due_index.record_position("holds", "2026")
    assert due_index.read_position("holds") == "2026"
    due_index.record_position("holds", None)
    assert due_index.read_position("holds") is None
