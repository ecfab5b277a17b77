"""The confirmation of an action, and the action itself."""

from typing import Annotated, Any
from urllib.parse import quote as quoted

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from console import actions, payment_view
from console.actions import Action
from console.api_client import Api, ApiRefusedError
from console.pages import Pages
from console.payment_pages import CONFLICTS, read_quote
from console.wording import amount, cents

type Json = dict[str, Any]


def add_routes(app: FastAPI, pages: Pages) -> None:
    form = Annotated[dict[str, str], Depends(pages.form)]

    @app.get("/console/payments/{reservation_id}/actions/{name}")
    def confirm(request: Request, reservation_id: str, name: str) -> Response:
        _, api = pages.signed_in(request)
        given = dict(request.query_params)
        record, action = _find(api, reservation_id, name, given)
        if action is None:
            return _gone(pages, reservation_id)
        problem = _problem(action, given) if "amount" in given or action.asks_amount is None else None
        return _confirmation(pages, request, record, action, given, problem=problem)

    @app.post("/console/payments/{reservation_id}/actions/{name}")
    def perform(request: Request, reservation_id: str, name: str, fields: form) -> Response:
        session, api = pages.signed_in(request)
        record, action = _find(api, reservation_id, name, fields)
        if action is None:
            return _gone(pages, reservation_id)
        problem = _problem(action, fields)
        if problem is None and action.note_required and not fields.get("note", "").strip():
            problem = "Please fill in the note."
        if problem is not None:
            return _confirmation(pages, request, record, action, fields, problem=problem, status=400)
        try:
            action.perform(api, reservation_id, fields)
        except ApiRefusedError as error:
            if error.status not in CONFLICTS:
                raise
            problem = f"{error.message} {error.recovery}"
            return _confirmation(pages, request, record, action, fields, problem=problem, status=409)
        session.say(action.done)
        return RedirectResponse(f"/console/payments/{quoted(reservation_id)}", 303)


def _find(api: Api, reservation_id: str, name: str, given: dict[str, str]) -> tuple[Json, Action | None]:
    """The record, and the action if it is offered now."""
    record = api.payment(reservation_id)
    offered = actions.offered(record, read_quote(api, record))
    return record, next((action for action in offered if action.matches(name, given)), None)


def _problem(action: Action, given: dict[str, str]) -> str | None:
    """What is wrong with the amount that was entered."""
    if action.asks_amount is None:
        return None
    entered = cents(given.get("amount", ""))
    if entered is None:
        return "Enter an amount such as 50.00."
    return None if entered <= action.asks_amount else f"At most {amount(action.asks_amount)} can be refunded."


def _confirmation(
    pages: Pages,
    request: Request,
    record: Json,
    action: Action,
    given: dict[str, str],
    *,
    problem: str | None,
    status: int = 200,
) -> Response:
    asks = action.asks_amount is not None and ("amount" not in given or _problem(action, given) is not None)
    entered = amount(cents(given.get("amount", ""))) if action.asks_amount is not None and not asks else ""
    context = {
        "record": record,
        "headline": payment_view.headline(record, pages.clock),
        "action": action,
        "asks": asks,
        "given": given,
        "consequence": action.consequence.replace("{amount}", entered),
        "label": action.label.replace("another amount", entered).replace("an amount", entered) if entered else "",
        "key": given.get("key") or actions.new_key(),
        "problem": problem,
    }
    return pages.page("action.html", request, context, status)


def _gone(pages: Pages, reservation_id: str) -> Response:
    return pages.message(
        "No longer possible",
        "The payment has changed, and this can no longer be done.",
        "Look at the payment again.",
        409,
        back=f"/console/payments/{quoted(reservation_id)}",
    )
