"""Today: what needs a person, most urgent first; the figures of today and of the last 14 days; holds that end soon."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from console import wording
from console.api_client import Api, ApiRefusedError
from console.pages import Pages

DAYS = 14
MOST_PAGES = 30  # of 100 payments
MOST_HOLDS = 100
SOON = timedelta(hours=2)
FRESH = 30  # seconds
PAID = frozenset({"completed", "partially_refunded", "refunded"})

type Json = dict[str, Any]


@dataclass
class Day:
    """The payments that were started on a day; amounts in cents."""

    day: date
    opened: int = 0
    paid: int = 0
    paid_amount: int = 0
    waiting: int = 0
    not_paid: int = 0
    refunded: int = 0
    refunded_amount: int = 0

    def count(self, row: Json) -> None:
        self.opened += 1
        self.waiting += row["status"] == "pending"
        self.not_paid += row["status"] == "expired"
        if row["status"] in PAID:
            self.paid += 1
            self.paid_amount += row.get("amount", 0)
        if row["refund_amount"]:
            self.refunded += 1
            self.refunded_amount += row["refund_amount"]


def add_routes(app: FastAPI, pages: Pages) -> None:
    workers = ThreadPoolExecutor(8, thread_name_prefix="console-today")
    reading = threading.Lock()
    figures_of: dict[str, tuple[float, Json]] = {}

    @app.get("/console")
    def today(request: Request) -> Response:
        _, api = pages.signed_in(request)
        return pages.page("today.html", request, {"matters": sorted(_matters(api), key=_urgency)})

    @app.get("/console/figures")
    def figures(request: Request) -> Response:
        """The slower part of the page: htmx asks for it; without scripts it is a page of its own."""
        session, api = pages.signed_in(request)
        # Reloading the page must not read the payments of 14 days again and again, side by side.
        with reading:
            known = figures_of.get(session.id)
            if known is None or time.monotonic() - known[0] > FRESH:
                figures_of.clear()
                known = figures_of[session.id] = (time.monotonic(), _figures(api, pages, workers.map))
        context = known[1]
        whole = "hx-request" not in request.headers
        return pages.page("figures.html" if whole else "_figures.html", request, context)


def _figures(api: Api, pages: Pages, run: Callable[..., Iterator[Json | None]]) -> Json:
    now = datetime.now(UTC)
    rows, days = _days(api, pages, now)
    most = max(day.opened for day in days) or 1
    return {"days": days, "most": most, "holds": _ending_holds(api, rows, now, run)}


def _matters(api: Api) -> Iterator[tuple[Json, Json]]:
    """Each open matter with the row of its payment."""
    for row in _rows(api, {"attention": "true"}):
        for matter in row["attention"]:
            yield row, matter


def _urgency(matter: tuple[Json, Json]) -> tuple[bool, str]:
    """First what has a deadline, the nearest before the others; then what has waited longest."""
    return "deadline" not in matter[1], str(matter[1].get("deadline", matter[1]["since"]))


def _rows(api: Api, query: dict[str, str]) -> Iterator[Json]:
    query = {"limit": "100", **query}
    for _ in range(MOST_PAGES):
        page = api.payments(query)
        yield from page["payments"]
        if "cursor" not in page:
            return
        query["cursor"] = page["cursor"]


def _days(api: Api, pages: Pages, now: datetime) -> tuple[list[Json], list[Day]]:
    """The payments of the last 14 days at the property, newest first, and each day, today last."""
    zone = pages.configuration.time_zone
    today = now.astimezone(zone).date()
    days = {day: Day(day) for day in (today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1))}
    begin = datetime.combine(min(days), time_of_day(), zone)
    rows = list(_rows(api, {"created_from": begin.isoformat()}))
    for row in rows:
        if (day := days.get(wording.moment(row["created_at"]).astimezone(zone).date())) is not None:
            day.count(row)
    return rows, list(days.values())


def _ending_holds(api: Api, rows: list[Json], now: datetime, run: Callable[..., Iterator[Json | None]]) -> list[Json]:
    """The unpaid bookings whose dates are held for at most two more hours, the first to end first."""
    pending = [row["reservation_id"] for row in rows if row["status"] == "pending"]

    def read(reservation_id: str) -> Json | None:
        try:
            return api.payment(reservation_id)
        except ApiRefusedError:
            return None

    records = [record for record in run(read, pending[-MOST_HOLDS:]) if record is not None]
    ending = [record for record in records if now < wording.moment(record["hold_expires_at"]) < now + SOON]
    return sorted(ending, key=lambda record: str(record["hold_expires_at"]))
