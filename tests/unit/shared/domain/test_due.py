"""shared.domain.due: when a payment is due next, and in which shard."""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from shared.domain.due import due_shard, next_due
from shared.domain.models import Payment, Replacement
from tests.harness.builders import HOUR, MINUTE, NOW, SECOND, attempt, paying, payment, refund
from tests.harness.reconciler_runs import DAY

RETRY, PAYING = {"awaiting": "retry", "hold_expires_at": NOW + 2 * HOUR}, {"awaiting": "payment"}
CANCELLED = {"PAY-RES-1-cancellation": refund(status="succeeded", kind="cancellation")}
LATER = {"payment": Replacement(number=2, step=1, progress="", start_at=NOW + MINUTE)}
STARTED = {"payment": Replacement(number=2, step=1, progress="", start_at=NOW - MINUTE)}


@pytest.mark.defect("R-18")
@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (payment(**RETRY), NOW + 2 * HOUR + 30 * SECOND),
        (payment(**RETRY | {"hold_expires_at": NOW + 3 * DAY}), NOW + DAY),
        (payment(**RETRY | {"cancel_requested_at": NOW - MINUTE}), NOW + 5 * MINUTE),
        (paying(**PAYING), NOW + 20 * MINUTE + 30 * SECOND),
        (paying(**PAYING, attempts={"1": attempt(deadline=NOW - HOUR)}), NOW + 5 * MINUTE),
        (payment(**RETRY, replacements=LATER), NOW + MINUTE),
        (payment(**RETRY, replacements=STARTED), NOW + 5 * MINUTE),
        (payment(status="completed"), NOW + DAY),
        (payment(status="completed", refunds=CANCELLED), None),
        (payment(status="completed", replacements=LATER), NOW + MINUTE),
        (payment(status="partially_refunded"), NOW + DAY),
        (payment(status="refunded"), None),
        (payment(status="refunded", refunds={"G1": refund()}), NOW + DAY),
        (payment(status="refunded", refunds={"G1": refund(status="failed")}), NOW + DAY),
        (payment(status="refunded", refunds={"re_1": refund(kind="dashboard")}), None),
        (
            payment(status="refunded", refunds={"G1": refund(status="succeeded", settled_at=NOW - HOUR)}),
            NOW + 23 * HOUR,
        ),
        (payment(status="refunded", refunds={"G1": refund(status="succeeded", settled_at=NOW - DAY)}), None),
        (payment(status="expired", updated_at=NOW), NOW + 15 * MINUTE),
        (payment(status="expired", updated_at=NOW, checks_after_release=1), NOW + DAY),
        (payment(status="expired", updated_at=NOW, checks_after_release=2), None),
    ],
)
def test_a_payment_is_due_when_what_it_awaits_is_overdue(of: Payment, expected: datetime | None) -> None:
    assert next_due(of, NOW) == expected


def test_a_paid_booking_is_watched_until_its_stay_is_over() -> None:
    paid: Any = payment(status="completed")
    assert next_due(paid, NOW, stay_over=True) is None


def test_payments_are_spread_evenly_over_16_shards() -> None:
    sizes = Counter(due_shard(f"PAY-RES-{number}") for number in range(16_000))
    assert sizes.keys() == set("0123456789abcdef")
    assert min(sizes.values()) > 850
    assert due_shard("PAY-RES-1") == "d"
