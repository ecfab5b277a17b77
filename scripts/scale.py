"""Writes docs/scale.md, which limit comes first at which volume: `python -m scripts.scale`.

Multiplies what a booking has used in the largest day of docs/evidence/day-at-scale.json without a throttled call by
bookings a second, and compares it with the quotas of local/quotas.json and the limits of the stack itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.config import Config
from local.quotas import CONCURRENCY, FILE, STRIPE, STRIPE_ENDPOINT, TRANSITIONS, WRITES
from scripts.costs import SECONDS_A_MONTH, STRIPE_SECONDS, BookingCounts, of_a_month, prices
from scripts.day_at_scale import RESULT

TARGET = Path(__file__).parents[1] / "docs" / "scale.md"
RATES = (1, 10, 100, 1000)  # bookings a second
SHARED_KEY = 0.5  # write units of a booking from which on most bookings share the key
NEW_TABLE = 4000  # write units a second
CHECKOUT_SHARE = 0.5  # of the stage's limit, in infra/api.py
HELP = {
    "AWS": "ask AWS (Service Quotas; free)",
    "Stripe": "ask Stripe's support, six weeks ahead (free)",
    "nobody": "cannot be raised: spread the key over several",
    "you": "`pulumi config set throttleRate`, up to 10,000",
}


@dataclass(frozen=True)
class Limit:
    """`used` by one booking, of `rate` a second; `whose` to raise."""

    name: str
    used: float
    rate: float
    whose: str

    @property
    def bookings(self) -> float:
        """How many bookings a second it allows."""
        return self.rate / self.used


def days() -> dict[str, dict[str, Any]]:
    """The results of the days that were measured, by name."""
    found: dict[str, dict[str, Any]] = json.loads(RESULT.read_text(encoding="utf-8"))
    return dict(sorted(found.items(), key=lambda entry: (entry[1]["bookings"], entry[0])))


def largest_day() -> dict[str, Any]:
    return max((day for day in days().values() if not day["throttled"]), key=lambda day: day["bookings"])


def limits(day: Mapping[str, Any], counts: BookingCounts) -> list[Limit]:
    """The limits that bookings meet, the lowest first."""
    listed = json.loads(FILE.read_text(encoding="utf-8"))["quotas"]
    work, keys = day["for a booking"], day["hottest key, write units for a booking"]
    stripe = {name.removeprefix("Stripe "): times for name, times in work.items() if name.startswith("Stripe ")}
    endpoint = max(stripe, key=lambda name: stripe[name])
    # What all functions of a booking take together; all have the same memory, as the three that wait for Stripe.
    seconds = (counts.gb_seconds + counts.stripe_gb * STRIPE_SECONDS) / (counts.stripe_gb / 3)
    used = {
        "StartExecution": work["StartExecution"],
        "SendTaskSuccess": work["SendTaskSuccess"],
        "PutEvents": work["PutEvents"],
        TRANSITIONS: work["state transitions"],
        CONCURRENCY: seconds,
        STRIPE: sum(stripe.values()),
    }
    found = [Limit(name, times, listed[name]["rate"], listed[name]["whose"]) for name, times in used.items()]
    found.append(Limit(f"{STRIPE_ENDPOINT}: {endpoint}", stripe[endpoint], listed[STRIPE_ENDPOINT]["rate"], "Stripe"))
    shared = {part: units for part, units in keys.items() if units >= SHARED_KEY}
    found += [Limit(f"{WRITES}: {part}", units, listed[WRITES]["rate"], "nobody") for part, units in shared.items()]
    rate = Config.model_fields["throttle_rate"].default
    found.append(Limit('the stage\'s route for "Pay now"', 1, CHECKOUT_SHARE * rate, "you"))
    return sorted(found, key=lambda limit: limit.bookings)


def page() -> str:
    counts, price, day = BookingCounts.load(), prices(), largest_day()
    listed = json.loads(FILE.read_text(encoding="utf-8"))
    found = limits(day, counts)
    first = [next((limit.name for limit in found if limit.bookings < rate), "none") for rate in RATES]
    costs = [sum(of_a_month(rate * SECONDS_A_MONTH, counts, price).values()) for rate in RATES]
    summary = [
        f"| {rate:,} | {name} | {_exceeded(found, rate)} | {usd:,.0f} |"
        for rate, name, usd in zip(RATES, first, costs, strict=True)
    ]
    rows = [
        f"| {limit.name} | {limit.used:.2f} | {limit.rate:,.0f} | {limit.bookings:,.0f} | {HELP[limit.whose]} |"
        for limit in found
    ]
    sources = [
        f"| {name} | {quota['rate']:,} / {quota['burst']:,} | {quota['unit']} | {quota['checked']} |"
        for name, quota in listed["quotas"].items()
    ]
    return f"""# Scale

Which limit comes first at how many bookings a second. `make docs` writes this page from a day of {day["bookings"]:,}
bookings in virtual time (`make bench SCALE=day`, [how](evidence/2026-11-28-scale.md)), the default quotas of AWS in
{listed["region"]} and of Stripe ([local/quotas.json](../local/quotas.json), {listed["date"]}), and the prices of
[costs.md](costs.md).

| bookings a second | exceeded first | all that is exceeded | USD a month, if it lasts |
|---:|---|---|---:|
{"\n".join(summary)}

The last column is what AWS charges, as in costs.md: all of it is paid by use, and a higher quota costs nothing.

## What a booking uses

| limit | of one booking | a second | bookings a second | beyond that |
|---|---:|---:|---:|---|
{"\n".join(rows)}

- What exceeds a limit is refused and repeated: by the SDK, by the state machine, by Stripe's deliveries, by the guest
  who asks again, and in the end by the reconciler. Bookings become later, not lost.
- *Lambda concurrency*: the seconds that all functions of a booking take together, Stripe's {STRIPE_SECONDS} s for each
  answer assumed as in costs.md.
- *{WRITES}*: keys that most bookings share. The platform itself writes each reservation into
  `status-index` too, which halves what is left.
- `throttleRate` limits each route. "Pay now" has half of it, the webhook all; a booking has about two webhooks.
- In a new account, transitions and concurrency begin lower. A sandbox of Stripe has a quarter of its limits.
- A new table of DynamoDB serves {NEW_TABLE:,} write units a second at first: at least {_first_rate(day):.0f}
  bookings a second, and then twice its highest rate within 30 minutes.

## Days that were played

| bookings | paid | throttled | not repeated | lost | paid, not confirmed | to the URL | card to confirmed |
|---|---:|---|---:|---:|---:|---:|---:|
{"\n".join(map(_outcome, days(), days().values()))}

Seconds are the median and the last guest's. Work for each booking, schedules aside, grows only where a sale exceeds
Stripe's limit, by what is repeated and by the calls that wait ([why](evidence/2026-11-28-scale.md)):

| bookings | read requests | write requests | write units | functions | transitions | Stripe's calls |
|---|---:|---:|---:|---:|---:|---:|
{"\n".join(map(_work, days(), days().values()))}

## Quotas

Rate and burst, as enforced in those days.

| quota | rate / burst | unit | checked |
|---|---:|---|---|
{"\n".join(sources)}

Not enforced: quotas of SSM, SNS, KMS, CloudWatch and API Gateway's account (10,000 requests a second).
"""


def _first_rate(day: Mapping[str, Any]) -> float:
    """The bookings a second that a new table would serve if it got the writes of all tables."""
    return float(NEW_TABLE / day["for a booking"]["DynamoDB write units"])


def _outcome(name: str, day: Mapping[str, Any]) -> str:
    throttled = "; ".join(f"{quota}: {calls}" for quota, calls in sorted(day["throttled"].items())) or "nothing"
    times = [day["seconds to the URL"], day["seconds from card to confirmation"]]
    url, confirmed = (f"{seconds['p50']} / {seconds['last']} s" for seconds in times)
    return (
        f"| {name} | {day['paid']} | {throttled} | {sum(day['throttled and not repeated'].values())} | {day['lost']} "
        f"| {day['paid and not confirmed']} | {url} | {confirmed} |"
    )


def _work(name: str, day: Mapping[str, Any]) -> str:
    work = day["for a booking"]
    shown = [work[f"DynamoDB {what}"] for what in ("read requests", "write requests", "write units")]
    shown += [work["calls of functions"], work["state transitions"]]
    shown.append(sum(times for name, times in work.items() if name.startswith("Stripe ")))
    return f"| {name} | {' | '.join(f'{times:.2f}' for times in shown)} |"


def _exceeded(found: list[Limit], rate: int) -> str:
    names = [f"{limit.name} ({rate / limit.bookings:.1f} times)" for limit in found if limit.bookings < rate]
    return "; ".join(names) or "nothing"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
