"""The list of payments, one payment, and one execution."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from console import actions, payment_view, pictures, wording
from console.api_client import Api, ApiRefusedError, ApiUnavailableError
from console.pages import Pages

FILTERS = ("q", "status", "attention", "customer_id", "from", "to")
NO_CONTENT = 204
CONFLICTS = frozenset({400, 409})

type Json = dict[str, Any]

_NO_PAYMENTS: Json = {"payments": []}


def add_routes(app: FastAPI, pages: Pages) -> None:
    workers = ThreadPoolExecutor(8, thread_name_prefix="console")

    @app.get("/console/payments")
    def payments(request: Request) -> Response:
        _, api = pages.signed_in(request)
        given = {name: request.query_params.get(name, "").strip() for name in FILTERS}
        problem, found = None, _NO_PAYMENTS
        try:
            found = api.payments(_query(pages, given, request.query_params.get("cursor")))
        except ValueError:
            problem = "A date must look like 2026-11-27."
            given |= {"from": "", "to": ""}
        except ApiRefusedError as error:
            if error.status not in CONFLICTS:
                raise
            problem = f"{error.message} {error.recovery}"
        filters = {name: value for name, value in given.items() if value}
        older = urlencode({**filters, "cursor": found["cursor"]}) if "cursor" in found else None
        context = {"found": found["payments"], "given": given, "problem": problem, "older": older}
        first = urlencode(filters) if "cursor" in request.query_params else None
        return pages.page("payments.html", request, {**context, "first": first}, 400 if problem else 200)

    @app.get("/console/payments/{reservation_id}")
    def payment(request: Request, reservation_id: str, seen: str = "") -> Response:
        _, api = pages.signed_in(request)
        context = _payment(pages, api, workers, reservation_id)
        live = pages.render("_payment_live.html", {**context, "seen": "SEEN"})
        version = hashlib.sha256(live.encode()).hexdigest()[:16]
        if "hx-request" not in request.headers:
            return pages.page("payment.html", request, {**context, "seen": version})
        if seen == version:
            return Response(status_code=NO_CONTENT)
        return HTMLResponse(live.replace("SEEN", version))

    @app.get("/console/payments/{reservation_id}/executions/{name}")
    def execution(request: Request, reservation_id: str, name: str) -> Response:
        _, api = pages.signed_in(request)
        found = api.execution(reservation_id, name)
        context = {
            "reservation_id": reservation_id,
            "execution": found,
            "picture": pictures.picture(found),
            "visits": [(visit, _seconds(visit)) for visit in found["states"]],
            "summary": pictures.summary(found),
        }
        live = "hx-request" in request.headers
        return pages.page("_execution_live.html" if live else "execution.html", request, context)


def _query(pages: Pages, given: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    """The API's parameters; a search knows no filter. Raises ValueError for a wrong date."""
    if given["q"]:
        return {"q": given["q"]}
    query = {name: given[name] for name in ("status", "attention", "customer_id") if given[name]}
    if given["from"]:
        query["created_from"] = _midnight(pages, given["from"]).isoformat()
    if given["to"]:
        query["created_to"] = (_midnight(pages, given["to"]) + timedelta(days=1)).isoformat()
    return query if cursor is None else {**query, "cursor": cursor}


def _midnight(pages: Pages, day: str) -> datetime:
    """When a day begins at the property."""
    return datetime.combine(datetime.fromisoformat(day).date(), time(), pages.configuration.time_zone)


def _payment(pages: Pages, api: Api, workers: ThreadPoolExecutor, reservation_id: str) -> Json:
    record = api.payment(reservation_id)
    names = [known["name"] for known in record["executions"]]
    quote = workers.submit(read_quote, api, record)
    executions = [found for found in workers.map(lambda name: _execution(api, reservation_id, name), names) if found]
    of_payment = [found for found in executions if found["workflow"] == "payment"]
    of_refunds = [found for found in executions if found["workflow"] == "refund"]
    return {
        "record": record,
        "headline": payment_view.headline(record, pages.clock),
        "accounts": payment_view.accounts(record),
        "timeline": payment_view.timeline(record, executions),
        "attempts": [
            (attempt, wording.ATTEMPT_STATUS.get(attempt["status"], attempt["status"]), payment_view.declined(attempt))
            for attempt in record["attempts"]
        ],
        "actions": actions.offered(record, quote.result()),
        "executions": executions,
        # The newest of each workflow, first the one that still runs; the page links to the others.
        "pictures": [
            (newest, pictures.summary(newest), pictures.picture(newest, prefix=prefix))
            for newest, prefix in sorted(
                [*((one, "") for one in of_payment[-1:]), *((one, "refund-") for one in of_refunds[-1:])],
                key=lambda shown: shown[0]["status"] != "RUNNING",
            )
        ],
        "live": any(found["status"] == "RUNNING" for found in executions),
    }


def read_quote(api: Api, record: Json) -> Json | None:
    """What a cancellation gives back; None where there is nothing to cancel or to refund."""
    if record["status"] not in {"completed", "partially_refunded"}:
        return None
    try:
        return api.refund_quote(record["reservation_id"])
    except ApiRefusedError:
        return None


def _execution(api: Api, reservation_id: str, name: str) -> Json | None:
    """None for one that has not started yet, or that Step Functions has forgotten."""
    try:
        return api.execution(reservation_id, name)
    except (ApiRefusedError, ApiUnavailableError):
        return None


def _seconds(visit: Json) -> str:
    if "exited_at" not in visit:
        return ""
    seconds = (wording.moment(visit["exited_at"]) - wording.moment(visit["entered_at"])).total_seconds()
    return f"{seconds:,.1f} s"
