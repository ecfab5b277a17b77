"""shared.domain.models: how values are read and written, and what follows from them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from shared.domain.booking import Reservation
from shared.domain.models import Dispute, iso
from tests.harness.builders import NOW, TOTAL, payment, refund, reservation
from tests.harness.tables import in_table


def test_times_are_written_in_one_form_that_sorts_by_time() -> None:
    madrid = datetime(2026, 11, 24, 16, 0, 0, 250_900, tzinfo=ZoneInfo("Europe/Madrid"))
    assert iso(madrid) == "2026-11-24T15:00:00.250Z"


@pytest.mark.parametrize("text", ["2026-11-24T15:00:00Z", "2026-11-24T16:00:00+01:00", "2026-11-24T15:00:00"])
def test_times_are_read_as_utc(text: str) -> None:
    read = Reservation.model_validate({**reservation().model_dump(), "created_at": text})
    assert read.created_at == NOW
    assert read.created_at.tzinfo is UTC


@pytest.mark.defect("D-31")
@in_table()
def test_which_refunds_still_reserve_money(status: str, kind: str, *, unsettled: bool) -> None:
    """A refund that failed in the dashboard reserved nothing of ours, and nobody has to act on it."""
    assert refund(status=status, kind=kind).unsettled is unsettled


@pytest.mark.defect("P-14", "R-06")
@in_table()
def test_which_disputes_block_refunds(status: str, *, closed: bool, blocks: bool) -> None:
    """One blocks until it is closed, a lost one for ever, an inquiry never, and each only its own capture."""
    dispute = Dispute(
        status=status, payment_intent="pi_1", amount=TOTAL, opened_at=NOW, closed_at=NOW if closed else None
    )
    of = payment(disputes={"du_1": dispute})
    assert of.disputed("pi_1") is blocks
    assert of.disputed("pi_2") is False
