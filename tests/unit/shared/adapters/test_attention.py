"""shared.adapters.attention: open matters are written only as they were read."""

from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.attention import write_matters
from shared.adapters.dynamodb import UpdateBuilder
from shared.adapters.payment_items import update_payment
from shared.domain.models import Matter, iso
from tests.harness.builders import NOW, payment
from tests.harness.stored_tables import Stored

OLD = Matter(kind="dispute", subject="dp_1", since=NOW)
NEW = Matter(kind="unmatched_charge", subject="pi_9", since=NOW + timedelta(minutes=1))
NONE, ONE, BOTH = {}, {"dispute:dp_1": OLD}, {"dispute:dp_1": OLD, "unmatched_charge:pi_9": NEW}  # type: ignore[var-annotated]

OTHER = {"unmatched_charge:pi_9": NEW}


@pytest.mark.parametrize(
    ("stored_before", "read", "after", "written"),
    [
        (NONE, NONE, ONE, True),
        (ONE, ONE, BOTH, True),
        (BOTH, BOTH, ONE, True),
        (ONE, ONE, NONE, True),
        (ONE, NONE, BOTH, False),
        (BOTH, ONE, NONE, False),
        (NONE, ONE, NONE, False),
        (OTHER, ONE, NONE, False),
    ],
)
def test_a_change_of_matters_requires_those_that_were_read(
    stored: Stored, stored_before: dict[str, Matter], read: dict[str, Matter], after: dict[str, Matter], written: Any
) -> None:
    since = {"attention_since": NOW} if stored_before else {}
    stored.payment(payment(attention=stored_before, **since))
    update = UpdateBuilder()
    write_matters(update, read, after)
    assert update_payment("PAY-RES-1", update) is written
    expected = after if written else stored_before
    item = stored.get("payments", "PAY-RES-1")
    assert item.get("attention", {}).keys() == expected.keys()
    assert item.get("attention_since") == (iso(NOW) if expected else None)


def test_matters_that_stay_the_same_are_not_written() -> None:
    update = UpdateBuilder()
    write_matters(update, BOTH, BOTH)
    assert update.empty
