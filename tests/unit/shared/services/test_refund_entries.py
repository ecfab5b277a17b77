"""shared.services.refund_entries: a refund's entry, as the states of its workflow read and return it."""

import pytest

from shared.contracts.states import RefundOutput
from shared.services.refund_entries import entry_output, read_entry
from tests.harness.builders import payment, refund
from tests.harness.stored_tables import Stored


def test_an_entry_is_read_with_its_payment(stored: Stored) -> None:
    item = payment(refunds={"G1": refund()})
    stored.payment(item)
    assert read_entry("PAY-RES-1", "G1") == (item, refund())


@pytest.mark.parametrize(("payment_id", "refund_id"), [("PAY-RES-2", "G1"), ("PAY-RES-1", "G2")])
def test_an_entry_that_does_not_exist_raises(stored: Stored, payment_id: str, refund_id: str) -> None:
    stored.payment(payment(refunds={"G1": refund()}))
    with pytest.raises(LookupError, match=f"no entry {refund_id} on {payment_id}"):
        read_entry(payment_id, refund_id)


def test_an_entry_is_returned_as_the_ledger_has_it() -> None:
    entry = refund(status="failed", stripe_refund_id="re_1", failure_reason="lost")
    assert entry_output(entry) == RefundOutput(
        status="failed", amount=500, stripe_refund_id="re_1", failure_reason="lost"
    )
