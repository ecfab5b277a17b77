"""docs/scale.md is written from a measured day and from quotas that are in one file, each with its source."""

import json
import re

import pytest

from local.quotas import FILE
from scripts.costs import BookingCounts
from scripts.scale import TARGET, days, largest_day, limits, page


def test_the_page_shows_the_current_results_and_quotas() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_quota_says_where_it_is_from_and_when_it_was_checked() -> None:
    for quota in json.loads(FILE.read_text(encoding="utf-8"))["quotas"].values():
        assert quota["source"].startswith(("https://docs.aws.amazon.com/", "https://docs.stripe.com/"))
        assert re.match(r"\d{4}-\d\d-\d\d, a stored copy of ", quota["checked"])
        assert 0 < quota["rate"] <= quota["burst"]


def test_the_limits_are_sorted_and_a_limit_of_100_calls_allows_50_bookings_with_two_each() -> None:
    found = limits(largest_day(), BookingCounts.load())
    assert found == sorted(found, key=lambda limit: limit.bookings)
    by_name = {limit.name: limit for limit in found}
    assert by_name["StartExecution"].bookings == pytest.approx(300, rel=0.2)


def test_no_measured_day_has_lost_a_booking_or_left_a_throttled_call() -> None:
    for day in days().values():
        assert (day["lost"], day["paid and not confirmed"], day["throttled and not repeated"]) == (0, 0, {})
