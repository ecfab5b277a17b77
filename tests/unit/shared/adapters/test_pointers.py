"""shared.adapters.pointers: a PaymentIntent belongs to one payment for ever."""

import pytest

from shared.adapters import payment_items, pointers
from shared.adapters.pointers import Pointer
from shared.domain.errors import StoreBusy
from shared.domain.session_outcomes import SessionOutcome
from tests.harness.builders import NOW, attempt, capture, paying
from tests.harness.stored_tables import Stored

POINTER = Pointer("PAY-RES-1", "1")


@pytest.mark.defect("R-01")
def test_a_pointer_is_never_moved_to_another_payment(stored: Stored) -> None:
    assert pointers.read_pointer("pi_1") is None
    assert pointers.record_pointer("pi_1", POINTER)
    assert pointers.record_pointer("pi_1", POINTER)
    assert not pointers.record_pointer("pi_1", Pointer("PAY-RES-2", "1"))
    assert pointers.read_pointer("pi_1") == POINTER
    assert stored.all("payments") == [{"payment_id": "pi_1", "belongs_to": "PAY-RES-1", "attempt": "1"}]


@pytest.mark.defect("R-01", "R-03")
def test_a_capture_is_never_written_without_its_pointer(stored: Stored) -> None:
    before = paying()
    stored.payment(before)
    outcome = {"1": SessionOutcome(attempt(status="paid"), captures={"pi_1": capture()})}
    pointers.record_pointer("pi_1", Pointer("PAY-RES-2", "1"))
    with pytest.raises(StoreBusy):
        payment_items.record_session_outcomes(before, outcome, now=NOW)
    assert stored.get("payments", "PAY-RES-1")["captures"] == {}
    stored.delete("payments", "pi_1")
    payment_items.record_session_outcomes(before, outcome, now=NOW)
    assert stored.get("payments", "PAY-RES-1")["captures"].keys() == {"pi_1"}
    assert pointers.read_pointer("pi_1") == POINTER
