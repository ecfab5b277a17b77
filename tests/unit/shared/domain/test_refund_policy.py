"""shared.domain.refund_policy: how much a guest gets back, day by day (docs/integration.md)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.domain.refund_policy import RefundPolicy, RefundTier, refund_by_policy, terms
from tests.harness.tables import in_table

MADRID, CANARIES, AUCKLAND, HONOLULU = map(
    ZoneInfo, ("Europe/Madrid", "Atlantic/Canary", "Pacific/Auckland", "Pacific/Honolulu")
)
CHECK_IN = date(2026, 7, 15)
POLICY = [RefundTier(days=14, percent=100), RefundTier(days=7, percent=50)]


def at(zone: ZoneInfo, day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A time on the property's clock."""
    return datetime.combine(day, time(hour, minute, second), zone)


@pytest.mark.defect("D-35")
@in_table()
def test_every_boundary_from_the_first_to_the_last_second_of_its_day(days: int, policy: str, amount: int) -> None:
    """Half of an odd price is rounded down to the cent."""
    today = CHECK_IN - timedelta(days=days)
    for moment in (at(MADRID, today, 0), at(MADRID, today, 12), at(MADRID, today, 23, 59, 59)):
        refund = refund_by_policy(POLICY, CHECK_IN, 45_001, time_zone=MADRID, now=moment.astimezone(UTC))
        assert (refund.applied, refund.amount, refund.days_until_checkin) == (policy, amount, days)


@pytest.mark.defect("D-35")
@pytest.mark.parametrize(
    ("amount", "half"), [(50, 25), (51, 25), (99, 49), (100, 50), (112_501, 56_250), (99_999_999, 49_999_999)]
)
def test_half_is_a_whole_number_of_cents(amount: int, half: int) -> None:
    noon = at(MADRID, CHECK_IN - timedelta(days=10), 12)
    assert refund_by_policy(POLICY, CHECK_IN, amount, time_zone=MADRID, now=noon).amount == half


@pytest.mark.parametrize(
    ("zone", "days"),
    [(AUCKLAND, 13), (MADRID, 13), (CANARIES, 14), (HONOLULU, 14)],
    ids=["already tomorrow", "just tomorrow", "an hour behind Madrid", "still today"],
)
def test_the_days_are_counted_at_the_property_wherever_the_guest_is(zone: ZoneInfo, days: int) -> None:
    moment = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    assert refund_by_policy(POLICY, date(2026, 7, 14), 100, time_zone=zone, now=moment).days_until_checkin == days


@pytest.mark.parametrize(
    ("check_in", "days_before"),
    [
        (date(2026, 4, 5), 7),  # the night of 29 March 2026 has 23 hours in Madrid
        (date(2026, 4, 12), 14),
        (date(2026, 11, 1), 7),  # the night of 25 October 2026 has 25
        (date(2026, 11, 8), 14),
    ],
)
def test_a_night_of_23_or_25_hours_moves_no_boundary(check_in: date, days_before: int) -> None:
    """Days are calendar days: dividing hours by 24 would be off by one on one side of midnight."""
    today = check_in - timedelta(days=days_before)
    yesterday = today - timedelta(days=1)
    moments = [(at(MADRID, yesterday, 23, 59, 59), days_before + 1), (at(MADRID, today, 0), days_before)]
    moments += [(at(MADRID, today, 23, 59, 59), days_before)]
    moments += [(at(MADRID, today + timedelta(days=1), 0), days_before - 1)]
    for moment, days in moments:
        found = refund_by_policy(POLICY, check_in, 100, time_zone=MADRID, now=moment.astimezone(UTC))
        assert found.days_until_checkin == days


def test_both_hours_from_two_to_three_in_the_long_night_are_one_day() -> None:
    first = datetime(2026, 10, 25, 2, 30, fold=0, tzinfo=MADRID)
    second = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=MADRID)
    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)
    for moment in (first, second):
        found = refund_by_policy(POLICY, date(2026, 11, 8), 100, time_zone=MADRID, now=moment.astimezone(UTC))
        assert (found.applied, found.amount, found.days_until_checkin) == ("full_refund", 100, 14)


@given(st.integers(0, 4 * 366 * 24 * 60), st.dates(date(2026, 1, 1), date(2030, 1, 1)), st.integers(50, 99_999_999))
def test_waiting_never_increases_the_refund_and_it_never_exceeds_the_payment(
    minutes: int, check_in: date, amount: int
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    today, tomorrow = (
        refund_by_policy(POLICY, check_in, amount, time_zone=MADRID, now=moment)
        for moment in (now, now + timedelta(days=1))
    )
    assert 0 <= tomorrow.amount <= today.amount <= amount
    assert (today.amount == 0) is (today.applied == "no_refund")


@pytest.mark.parametrize(
    ("check_in", "now", "changes_at", "next_amount"),
    [
        # Midnight at the property, before and after the clocks change.
        (date(2026, 4, 12), datetime(2026, 3, 1, 12, tzinfo=MADRID), datetime(2026, 3, 29, 22, tzinfo=UTC), 50),
        (date(2026, 11, 8), datetime(2026, 10, 25, 12, tzinfo=MADRID), datetime(2026, 10, 25, 23, tzinfo=UTC), 50),
        (date(2026, 11, 8), datetime(2026, 10, 26, 12, tzinfo=MADRID), datetime(2026, 11, 1, 23, tzinfo=UTC), 0),
        (date(2026, 11, 8), datetime(2026, 11, 2, 12, tzinfo=MADRID), None, None),
    ],
)
def test_a_quote_names_the_second_at_which_it_becomes_less(
    check_in: date, now: datetime, changes_at: datetime | None, next_amount: int | None
) -> None:
    quote = refund_by_policy(POLICY, check_in, 100, time_zone=MADRID, now=now)
    assert (quote.changes_at, quote.next_amount) == (changes_at, next_amount)
    if changes_at is not None:
        before, after = (
            refund_by_policy(
                POLICY, check_in, 100, time_zone=MADRID, now=changes_at - timedelta(seconds=seconds)
            ).amount
            for seconds in (1, 0)
        )
        assert (before, after) == (quote.amount, next_amount)


def test_any_percentage_and_any_number_of_tiers() -> None:
    tiers = [RefundTier(days=30, percent=90), RefundTier(days=3, percent=33), RefundTier(days=0, percent=10)]
    amounts = [
        refund_by_policy(tiers, CHECK_IN, 101, time_zone=MADRID, now=at(MADRID, CHECK_IN - timedelta(days=days), 12))
        for days in (30, 29, 3, 0, -1)
    ]
    assert [(one.applied, one.amount) for one in amounts] == [
        ("partial_refund_90", 90),
        ("partial_refund_33", 33),
        ("partial_refund_33", 33),
        ("partial_refund_10", 10),
        ("no_refund", 0),
    ]


@in_table()
def test_a_policy_that_means_two_things_is_refused(tiers: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RefundPolicy).validate_python(tiers)


@pytest.mark.parametrize(
    ("tiers", "today", "text"),
    [
        (
            POLICY,
            "2026-07-01",
            "If you cancel: full refund until 1 July 2026, 50% refund until 8 July 2026, no refund after that.",
        ),
        (POLICY, "2026-07-02", "If you cancel: 50% refund until 8 July 2026, no refund after that."),
        (POLICY, "2026-07-09", "This booking is not refundable."),
        ([], "2026-07-01", "This booking is not refundable."),
    ],
)
def test_the_terms_are_a_sentence_with_the_dates_to_come(tiers: list[RefundTier], today: str, text: str) -> None:
    assert terms(tiers, CHECK_IN, date.fromisoformat(today)) == text
