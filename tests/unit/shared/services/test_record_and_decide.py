"""shared.services.record_and_decide: outcomes are recorded before the next step is decided from them."""

import pytest

from shared.adapters import bookings
from shared.contracts.booking_events import EventDetail
from shared.contracts.states import NextStepOutput, VerifyPaymentInput
from shared.domain.errors import NotificationFailed
from shared.domain.session_outcomes import SessionOutcome, never_opened
from shared.services import record_and_decide as record_and_decide_module
from shared.services.record_and_decide import record_and_decide
from tests.harness.builders import NOW, attempt, capture, paying
from tests.harness.frozen_clock import Clock
from tests.harness.stored_tables import Stored

REQUEST = VerifyPaymentInput(reservation_id="RES-1", payment_id="PAY-RES-1", execution="RES-1", refunds_started=[])


@pytest.fixture(autouse=True)
def booked(stored: Stored, clock: Clock) -> None:
    stored.reservation()
    stored.payment(paying())


def decide(outcome: SessionOutcome) -> NextStepOutput:
    return record_and_decide(bookings.read_booking("RES-1"), {"1": outcome}, REQUEST, asked=True, closing=False)


def test_an_open_session_is_published() -> None:
    output = decide(SessionOutcome(attempt(), payable=True))
    assert (output.next_step, output.reason) == ("await_payment", "none")
    assert output.attempt is not None
    assert output.attempt.session_id == "cs_1"


def test_a_capture_is_recorded_and_confirmed(stored: Stored) -> None:
    paid = attempt(status="paid", closed_at=NOW, close_reason="paid", checkout_url=None)
    output = decide(SessionOutcome(paid, captures={"pi_1": capture()}))
    assert output == NextStepOutput(next_step="confirm", reason="paid", payment_intent="pi_1")
    item = stored.get("payments", "PAY-RES-1")
    assert (item["attempts"]["1"]["status"], set(item["captures"])) == ("paid", {"pi_1"})


def test_the_reason_is_why_the_session_closed(stored: Stored) -> None:
    output = decide(never_opened(attempt(), "expired", NOW))
    assert output == NextStepOutput(next_step="await_retry", reason="expired")
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["status"] == "closed"


def test_a_failed_attempt_is_published_by_the_next_run_if_the_first_stopped_before_it(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event has the same id however often it is published."""
    published: list[EventDetail] = []

    def stop(_: EventDetail) -> None:
        raise NotificationFailed("stopped")

    monkeypatch.setattr(record_and_decide_module, "publish", stop)
    with pytest.raises(NotificationFailed):
        decide(never_opened(attempt(), "expired", NOW))
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["status"] == "closed"
    monkeypatch.setattr(record_and_decide_module, "publish", published.append)
    for _ in range(2):
        decide(never_opened(attempt(status="closed", closed_at=NOW, close_reason="expired"), "expired", NOW))
    assert {event.event_id for event in published} == {"AttemptFailed-PAY-RES-1-1"}
    assert len(published) == 2
