"""lambdas.record_refund: what it records of a refund that has ended."""

import pytest

from lambdas import create_refund, record_refund
from tests.harness.booking_states import BookingStates


def test_the_entry_names_the_newest_execution_of_its_refund(reserved: BookingStates) -> None:
    """The reconciler reads there which execution it has to check."""
    assert reserved.entry["execution"] == "G1"
    created = reserved.run_refund(create_refund, execution="G1-r1", attempt=1)
    assert reserved.entry["execution"] == "G1-r1"
    ended = {"outcome": "succeeded", "stripe_refund_id": created["stripe_refund_id"]}
    reserved.run_refund(record_refund, execution="G1-r2", **ended)
    assert reserved.entry["execution"] == "G1-r2"


@pytest.mark.defect("P-07", "D-39")
def test_a_success_that_arrives_after_its_failure_is_not_recorded(reserved: BookingStates) -> None:
    """Stripe has taken the success back since."""
    refund = {"stripe_refund_id": reserved.run_refund(create_refund, attempt=1)["stripe_refund_id"]}
    reserved.run_refund(record_refund, outcome="succeeded", **refund)
    failed = refund | {"outcome": "failed", "failure_reason": "lost_or_stolen_card"}
    reserved.run_refund(record_refund, execution="failed-re_1", **failed)
    before = reserved.item
    answer = reserved.run_refund(record_refund, outcome="succeeded", **refund)
    assert answer == {"amount": 500, "payment_status": "completed", "attempt": 1}
    assert reserved.item == before


@pytest.mark.parametrize("failed", ["", "re_1"])
def test_a_failure_does_not_undo_the_success_of_another_refund(reserved: BookingStates, failed: str) -> None:
    """A refund in the dashboard has settled the entry while its own refund could not be created, or failed."""
    reserved.run_refund(record_refund, outcome="succeeded", stripe_refund_id="re_dashboard")
    before = reserved.item
    reserved.run_refund(record_refund, outcome="failed", stripe_refund_id=failed, failure_reason="refused")
    assert reserved.item == before


@pytest.mark.parametrize(("outcome", "published"), [("succeeded", []), ("failed", [500])])
def test_an_outcome_is_counted_once_and_only_a_failure_published(
    reserved: BookingStates, monkeypatch: pytest.MonkeyPatch, outcome: str, published: list[int]
) -> None:
    """The definition publishes a success."""
    sent: list[int] = []
    counted: list[object] = []
    monkeypatch.setattr(record_refund, "publish", lambda event: sent.append(event.amount))
    monkeypatch.setattr(record_refund, "count", lambda *of, **by: counted.append((*of, by)))
    for _ in range(2):
        reserved.run_refund(record_refund, outcome=outcome, stripe_refund_id="re_1", failure_reason="lost")
    assert sent == published
    assert counted == [("Refunds", {"outcome": outcome})]
