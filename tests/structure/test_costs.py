"""docs/costs.md is written from the counts of `make bench` and the prices in one file."""

import json
import re

import pytest

from scripts.costs import PRICES, TARGET, BookingCounts, of_a_month, of_one_booking, page, prices, traces


def test_the_page_shows_the_current_counts_and_prices() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_price_has_its_source_and_the_file_its_date() -> None:
    listed = json.loads(PRICES.read_text(encoding="utf-8"))
    assert listed["date"] == "2026-11-27"
    for price in listed["prices"].values():
        assert price["usd"] > 0
        assert price["unit"]
        assert price["source"].startswith("https://aws.amazon.com/")


def test_every_price_says_what_it_was_checked_against() -> None:
    for name, price in json.loads(PRICES.read_text(encoding="utf-8"))["prices"].items():
        if price["checked"] != "not checked":
            assert re.match(r"\d{4}-\d\d-\d\d, (AWS's|a third-party) ", price["checked"]), name
            assert price["page"].startswith("https://"), name


COUNTS = BookingCounts(
    measured="2026-11-27",
    transitions=8,
    function_calls=6,
    gb_seconds=0.5,
    stripe_gb=2,
    http_requests=3,
    events=1,
    read_units=20,
    write_units=40,
    log_bytes=20_000,
    item_bytes=4_000,
    alarm_metrics=50,
    own_metrics=20,
    route_metrics=80,
)


def test_one_booking() -> None:
    assert of_one_booking(COUNTS, prices()) == pytest.approx(
        {
            "Step Functions": 0.0002,
            "Lambda, calls": 0.0000012,
            "Lambda, time": 0.0000200001,  # 0.5 measured and 2 GB for half a second
            "API Gateway": 0.0000105,
            "DynamoDB, requests": 0.0000275,
            "EventBridge": 0.000001,
            "CloudWatch, logs": 0.00001,
        }
    )


def test_a_month_of_100_000_bookings() -> None:
    assert of_a_month(100_000, COUNTS, prices()) == pytest.approx(
        {
            "Step Functions": 20,
            "Lambda, calls": 0.12,
            "Lambda, time": 2.00001,
            "API Gateway": 1.05,
            "DynamoDB, requests": 2.75,
            "EventBridge": 0.1,
            "CloudWatch, logs": 1,
            "DynamoDB, storage": 2.16,  # 4.8 GB after a year
            # 1,836 s of 1 GB, 900,000 reads, 16,800 files and 276 MB after a year
            "Ledger, every morning": 0.1500481224,
            "X-Ray": 1.5,
            "CloudWatch, metrics, alarms, dashboard": 38,
            "KMS, the stack's own key": 1,
            "WAF, if you attach a web ACL": 7.18,
        }
    )


def test_a_twentieth_of_the_requests_beyond_one_a_second_is_traced() -> None:
    assert traces(2_592_000) == 2_592_000
    assert traces(4_592_000) == 2_692_000
