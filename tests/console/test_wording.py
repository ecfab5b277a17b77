from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from console import wording
from console.wording import Clock, amount, cents, stay
from shared.domain.booking import EndReason
from shared.domain.matters import KINDS
from shared.domain.models import AttemptStatus, PaymentStatus, RefundKind, RefundStatus


def test_the_console_has_words_for_every_code_of_the_api() -> None:
    assert set(wording.REFUND_STATUS) == set(get_args(RefundStatus))
    assert set(wording.PAYMENT_STATUS) == set(get_args(PaymentStatus))
    assert set(wording.ATTEMPT_STATUS) == set(get_args(AttemptStatus))
    assert set(wording.REFUND_KIND) == set(get_args(RefundKind))
    assert set(wording.END_REASON) == set(get_args(EndReason))
    assert set(wording.MATTER) == set(KINDS)


@pytest.mark.parametrize(("value", "shown"), [(112500, "EUR 1,125.00"), (1, "EUR 0.01"), (0, "EUR 0.00"), (None, "—")])
def test_amounts_have_a_currency_and_two_decimals(value: int | None, shown: str) -> None:
    assert amount(value) == shown


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("50", 5000),
        ("50.5", 5050),
        ("EUR 1,125.00", 112500),
        ("0.01", 1),
        ("0", None),
        ("-5", None),
        ("1.005", None),
        ("NaN", None),
        ("Infinity", None),
        ("fifty", None),
        ("", None),
    ],
)
def test_an_amount_that_somebody_types_becomes_cents_or_nothing(typed: str, value: int | None) -> None:
    assert cents(typed) == value


def test_a_time_is_the_propertys_with_utc_on_hover() -> None:
    shown = Clock(ZoneInfo("Europe/Madrid")).minute("2026-07-01T22:30:00.000Z")
    assert shown == (
        '<time datetime="2026-07-01T22:30:00+00:00" title="2026-07-01 22:30:00 UTC">2 Jul 2026, 00:30</time>'
    )


@pytest.mark.parametrize(
    ("check_in", "check_out", "shown"),
    [
        ("2026-05-01", "2026-05-03", "1 to 3 May 2026"),
        ("2026-05-30", "2026-06-02", "30 May to 2 June 2026"),
        ("2026-12-30", "2027-01-02", "30 December 2026 to 2 January 2027"),
    ],
)
def test_a_stay_is_said_in_words(check_in: str, check_out: str, shown: str) -> None:
    assert stay(check_in, check_out) == shown
