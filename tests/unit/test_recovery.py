"""scripts.recovery.rebuilding: what executions that were refused say about a restored booking."""

from dataclasses import replace

import pytest

from scripts.recovery.booking_facts import Facts, Terms
from scripts.recovery.execution_runs import PaymentRun, RefundRun
from scripts.recovery.rebuilding import rebuild
from shared.contracts.states import PaymentExecutionInput, RefundExecutionInput
from tests.harness.builders import NOW, WINDOW, booking, capture, paying, payment, reservation

TERMS = Terms(hold=WINDOW * 48, refund_policy=[])
WAITING = paying(captures={"pi_1": capture()})
CONFIRMED = PaymentRun(
    given=PaymentExecutionInput.of(payment()),
    restart=0,
    runs=False,
    outcome="confirmed",
    confirmed=True,
    stopped_at=NOW,
)
LATE = RefundRun(
    refund_id="REF-pi_1",
    given=RefundExecutionInput.unapplied(WAITING, "pi_1", "REF-pi_1", requested_by="webhook"),
    started_at=NOW,
    stopped_at=NOW,
    restart=0,
    newest="REF-pi_1",
    runs=False,
    succeeded=True,
    state="RefundRefused",
    settled_elsewhere=False,
)


@pytest.mark.parametrize(
    ("refused", "role"), [("NotRefundable", "booking"), ("NotEnoughLeft", "unapplied"), (None, None)]
)
def test_a_capture_is_the_bookings_unless_its_refund_found_nothing_left(refused: str | None, role: str | None) -> None:
    facts = Facts(run=CONFIRMED, refunds={"REF-pi_1": replace(LATE, refused=refused)})
    assert rebuild(booking(WAITING), facts, TERMS, NOW).payment.captures["pi_1"].role == role


@pytest.mark.parametrize(("refused", "status"), [(None, "cancelled"), ("PaymentDisputed", None)])
def test_a_cancellation_that_returns_nothing_is_entered_unless_it_was_refused(
    refused: str | None, status: str | None
) -> None:
    confirmed = payment(status="completed", captures={"pi_1": capture(role="booking")})
    given = RefundExecutionInput.for_payment(
        confirmed,
        "G1",
        kind="cancellation",
        payment_intent="pi_1",
        amount=0,
        policy="no_refund",
        requested_by="guest:1",
    )
    facts = Facts(refunds={"G1": replace(LATE, refund_id="G1", given=given, refused=refused)})
    rebuilt = rebuild(booking(confirmed, reserved=reservation(status="confirmed")), facts, TERMS, NOW)
    assert rebuilt.reservation_status == status
    assert [one.amount for one in rebuilt.payment.refunds.values()] == ([] if status is None else [0])
