"""Today: what needs a person, most urgent first; the figures of the last 14 days; holds that end soon; the runbook."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response

from console import runbook
from console.api_client import Api
from console.pages import Pages

MOST_PAGES = 30  # of 100 payments
MOST_SHOWN = 50  # matters, so that the page stays light however bad the day is

type Json = dict[str, Any]


def add_routes(app: FastAPI, pages: Pages) -> None:
    @app.get("/console")
    def today(request: Request) -> Response:
        _, api = pages.signed_in(request)
        matters = sorted(_matters(api), key=_urgency)
        return pages.page("today.html", request, {"count": len(matters), "matters": matters[:MOST_SHOWN]})

    @app.get("/console/figures")
    def figures(request: Request) -> Response:
        """The slower part of the page: htmx asks for it; without scripts it is a page of its own."""
        _, api = pages.signed_in(request)
        found = api.payments_by_day()
        days = [{**day, "day": date.fromisoformat(day["day"])} for day in found["days"]]
        most = max(day["started"] for day in days) or 1
        whole = "hx-request" not in request.headers
        context = {"days": days, "most": most, "holds": found["holds_ending"]}
        return pages.page("figures.html" if whole else "_figures.html", request, context)

    @app.get("/console/runbook/{name}")
    def read_runbook(request: Request, name: str) -> Response:
        pages.signed_in(request)
        found = runbook.section(name)
        if found is None:
            raise HTTPException(404)
        return pages.page("runbook.html", request, {"title": found[0], "content": found[1]})


def _matters(api: Api) -> Iterator[tuple[Json, Json]]:
    """Each open matter with the row of its payment."""
    query = {"limit": "100", "attention": "true"}
    for _ in range(MOST_PAGES):
        page = api.payments(query)
        for row in page["payments"]:
            for matter in row["attention"]:
                yield row, matter
        if "cursor" not in page:
            return
        query["cursor"] = page["cursor"]


def _urgency(matter: tuple[Json, Json]) -> tuple[bool, str]:
    """First what has a deadline, the nearest before the others; then what has waited longest."""
    return "deadline" not in matter[1], str(matter[1].get("deadline", matter[1]["since"]))
