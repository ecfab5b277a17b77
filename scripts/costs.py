"""Writes docs/costs.md, what a stack costs a month: `python -m scripts.costs`.

Multiplies what `make bench WRITE=1` has counted (docs/evidence/booking-counts.json) by the prices of prices.json.
"""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COUNTS = ROOT / "docs" / "evidence" / "booking-counts.json"
PRICES = Path(__file__).with_name("prices.json")
TARGET = ROOT / "docs" / "costs.md"

VOLUMES = {"1,000": 1_000, "100,000": 100_000, "10 million": 10_000_000}
SECONDS_A_MONTH = 30 * 86_400
GB = 10**9

# Assumed, since the local stack has no network: how long Stripe takes to answer.
STRIPE_SECONDS = 0.5
# The ledger: runs a month, days that each checks, the function's memory, how often a day is read, and
# for each transaction the items that are read (payment twice, pointer) and the bytes of its line.
LEDGER_RUNS, LEDGER_DAYS_WATCHED, LEDGER_GB = 16 * 30, 35, 1
LEDGER_READINGS, LEDGER_PAGE, LEDGER_ITEMS, LEDGER_ROW_BYTES = 3, 100, 3, 230
S3_SECONDS = 0.02

# Kept for a year: what is stored after twelve months of this volume.
MONTHS_STORED = 12


@dataclass(frozen=True)
class BookingCounts:
    """What one booking that is paid at the first attempt uses, and what a stack has whatever its volume.

    `gb_seconds`: the time of the functions as it was measured, with their memory; `stripe_gb`: the memory of those that
    wait while Stripe answers; `log_bytes` and `item_bytes`: what is written to logs, and stored.
    """

    measured: str
    transitions: float
    function_calls: float
    gb_seconds: float
    stripe_gb: float
    http_requests: float
    events: float
    read_units: float
    write_units: float
    log_bytes: float
    item_bytes: float
    alarm_metrics: int
    own_metrics: int
    route_metrics: int

    @classmethod
    def load(cls) -> "BookingCounts":
        return cls(**json.loads(COUNTS.read_text(encoding="utf-8")))

    def save(self) -> None:
        COUNTS.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def prices() -> dict[str, float]:
    return {name: float(of["usd"]) for name, of in json.loads(PRICES.read_text(encoding="utf-8"))["prices"].items()}


def of_one_booking(counts: BookingCounts, price: Mapping[str, float]) -> dict[str, float]:
    """USD by service."""
    gb_seconds = counts.gb_seconds + counts.stripe_gb * STRIPE_SECONDS
    return {
        "Step Functions": counts.transitions * price["transition"],
        "Lambda, calls": counts.function_calls * price["lambda_request"],
        "Lambda, time": gb_seconds * price["lambda_gb_second"],
        "API Gateway": counts.http_requests * price["http_request"],
        "DynamoDB, requests": counts.read_units * price["read_unit"] + counts.write_units * price["write_unit"],
        "EventBridge": counts.events * price["event"],
        "CloudWatch, logs": counts.log_bytes / GB * price["log_gb"],
    }


def traces(requests: float) -> float:
    """What X-Ray's default rule records of requests that come evenly: one a second, and 5% of the others."""
    first = min(requests, SECONDS_A_MONTH)
    return first + 0.05 * (requests - first)


def of_the_ledger(bookings: int, price: Mapping[str, float]) -> float:
    """What a month's mornings cost: 16 runs, of which the first reads a page of Stripe's for every 100 transactions.

    Each day is read twice more, when it is paid out and when something of it is late.
    """
    pages = LEDGER_READINGS * bookings / LEDGER_PAGE
    seconds = LEDGER_RUNS * LEDGER_DAYS_WATCHED * S3_SECONDS + pages * STRIPE_SECONDS
    requests = LEDGER_RUNS * LEDGER_DAYS_WATCHED
    return (
        seconds * LEDGER_GB * price["lambda_gb_second"]
        + LEDGER_READINGS * bookings * LEDGER_ITEMS * price["read_unit"]
        + requests * price["s3_read"]
        + bookings * MONTHS_STORED * LEDGER_ROW_BYTES / GB * price["s3_gb_month"]
    )


def of_a_month(bookings: int, counts: BookingCounts, price: Mapping[str, float]) -> dict[str, float]:
    """USD by service, with what a stack costs whatever its volume."""
    costs = {service: bookings * usd for service, usd in of_one_booking(counts, price).items()}
    requests = bookings * counts.http_requests
    costs["DynamoDB, storage"] = bookings * MONTHS_STORED * counts.item_bytes / GB * price["stored_gb_month"]
    costs["Ledger, every morning"] = of_the_ledger(bookings, price)
    costs["X-Ray"] = traces(requests) * price["trace"]
    costs["CloudWatch, metrics, alarms, dashboard"] = (
        (counts.own_metrics + counts.route_metrics) * price["metric_month"]
        + counts.alarm_metrics * price["alarm_month"]
        + price["dashboard_month"]
    )
    costs["KMS, the stack's own key"] = price["key_month"]
    costs["WAF, if you attach a web ACL"] = price["web_acl_month"] + requests * price["web_acl_request"]
    return costs


def page() -> str:
    counts, price = BookingCounts.load(), prices()
    listed = json.loads(PRICES.read_text(encoding="utf-8"))
    months = [of_a_month(bookings, counts, price) for bookings in VOLUMES.values()]
    rows = [_row(service, [month[service] for month in months]) for service in months[0]]
    rows.append(_row("**together**", [sum(month.values()) for month in months]))
    rows.append(
        _row("for each booking", [sum(m.values()) / n for m, n in zip(months, VOLUMES.values(), strict=True)], 6)
    )
    one = [_row(service, [usd], 6) for service, usd in of_one_booking(counts, price).items()]
    return f"""# Costs

What AWS charges for a stack, in USD a month, by the number of bookings that are paid in it. `make docs` writes this
page from what `make bench WRITE=1` counted ({counts.measured}) and from AWS's list prices in {listed["region"]}.
[scripts/prices.json](../scripts/prices.json) has each price, what it was checked against and when,
[scripts/costs.py](../scripts/costs.py) the calculation.

{_checks(listed["prices"])}

| USD a month | {" | ".join(f"{volume} bookings" for volume in VOLUMES)} |
|---|{"---:|" * len(VOLUMES)}
{"\n".join(rows)}

## One booking

A booking that is paid at the first attempt uses {counts.transitions:g} state transitions,
{counts.function_calls:g} calls of functions, {counts.http_requests:g} HTTP requests, {counts.read_units:.1f} read units
and {counts.write_units:.1f} write units of DynamoDB, {counts.log_bytes / 1000:.1f} KB of logs and
{counts.item_bytes / 1000:.1f} KB of storage.

| service | USD |
|---|---:|
{"\n".join(one)}

## What is in these figures

- *Lambda, time*: the time that each handler took on the local stack, which has no network, with the function's memory,
  and {STRIPE_SECONDS:g} s for each answer of Stripe, which is an assumption. X-Ray shows the real time after the
  deployment. Cold starts come on top.
- *DynamoDB, storage*: what {MONTHS_STORED} months of this volume leave behind, if nothing is deleted.
- *Ledger, every morning*: calculated, with {STRIPE_SECONDS:g} s for each page of Stripe's and {S3_SECONDS:g} s for each
  file of a day that is checked, both assumptions, and each day read {LEDGER_READINGS} times.
- *X-Ray*: one trace a second and 5% of the others, for requests that come evenly.
- *KMS*: the key's first year. Its rotation, once a year, can add {price["key_month"]:g} USD a month each time.
- Nothing is subtracted for free tiers and volume discounts.

Not in these figures: Stripe's fees, by far the largest cost of a booking; status and preflight requests of your front
end ({price["http_request"] * 10**6:.2f} USD a million, and the function's time); declines, refunds and disputes; the
reconciler's runs; Cognito; calls of KMS; data transfer; taxes.
"""


def _checks(listed: Mapping[str, Mapping[str, str]]) -> str:
    """Which prices were compared with what, by their field `checked`."""
    against: dict[str, list[str]] = {}
    for name, of in listed.items():
        against.setdefault(_kind(of["checked"]), []).append(f"`{name}`")
    sentences = [f"{kind}: {', '.join(names)}." for kind, names in against.items()]
    sentences.append("A stored copy may be older than the price of today: compare with AWS before you rely on a total.")
    return textwrap.fill(" ".join(sentences), width=120, break_on_hyphens=False)


def _kind(checked: str) -> str:
    if checked == "not checked":
        return "Not compared with anything"
    if "third-party" in checked:
        return "Agree with a stored copy of a third-party page"
    return "Agree with a stored copy of a page of AWS"


def _row(name: str, usd: list[float], digits: int = 2) -> str:
    return f"| {name} | {' | '.join(f'{value:,.{digits}f}' for value in usd)} |"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
