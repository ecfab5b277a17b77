"""The days that were reconciled with Stripe: totals, differences, and the transactions to download."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from console.api_client import Api
from console.pages import Pages

type Json = dict[str, Any]


def add_routes(app: FastAPI, pages: Pages) -> None:
    @app.get("/console/ledger")
    def days(request: Request, before: str | None = None) -> Response:
        _, api = pages.signed_in(request)
        found = api.ledger_days(before)
        shown = [(day, list(totals(day["ours"])), list(totals(day["not_ours"]))) for day in found["days"]]
        context = {"days": shown, "older": found["before"], "first": before is not None}
        return pages.page("ledger.html", request, context)

    @app.get("/console/ledger/{day}/transactions.csv")
    def transactions(request: Request, day: str) -> Response:
        _, api = pages.signed_in(request)
        name = {"Content-Disposition": f'attachment; filename="ledger-{day}.csv"'}
        return Response("".join(_parts(api, day)), media_type="text/csv; charset=utf-8", headers=name)


def _parts(api: Api, day: str) -> Iterator[str]:
    offset: int | None = 0
    while offset is not None:
        part = api.ledger_transactions(day, offset)
        yield part["csv"]
        offset = part.get("next")


def totals(of: Json) -> Iterator[Json]:
    """One line for each currency: gross, fees and net of all categories together."""
    for currency, categories in of.items():
        added = {name: sum(one[name] for one in categories.values()) for name in ("count", "gross", "fee", "net")}
        yield {"currency": currency, **added}
