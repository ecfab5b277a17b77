"""The operators' console: a web application on the HTTP API, under /console."""

from pathlib import Path
from typing import Any

import requests
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from console import action_pages, ledger_pages, payment_pages, sign_in_pages, today_page
from console.api_client import ApiRefusedError, ApiUnavailableError, SignedOutError
from console.console_configuration import Configuration
from console.pages import Pages
from console.security import RefusedError, Security
from console.sign_in import Sessions, SignInFailedError

STATIC = Path(__file__).parent / "static"
FORBIDDEN, NOT_FOUND = 403, 404


def create_app(configuration: Configuration) -> Security:
    """An ASGI application whose addresses all begin with /console."""
    app = FastAPI(title="Payments console", openapi_url=None)
    pages = Pages(configuration, Sessions(), requests.Session())
    app.mount("/console/static", StaticFiles(directory=STATIC))
    for module in (sign_in_pages, today_page, payment_pages, ledger_pages, action_pages):
        module.add_routes(app, pages)
    _add_errors(app, pages)
    _add_api_errors(app, pages)

    @app.get("/")
    def home() -> Response:
        return RedirectResponse("/console", 303)

    def refuse(error: RefusedError) -> Response:
        return pages.message("Nothing was done", error.problem, error.help, status=FORBIDDEN)

    return Security(app, hosts=configuration.hosts, refuse=refuse)


def _add_errors(app: FastAPI, pages: Pages) -> None:
    @app.exception_handler(RefusedError)
    def refused(_: Request, error: RefusedError) -> Response:
        return pages.message("Nothing was done", error.problem, error.help, status=FORBIDDEN)

    @app.exception_handler(SignInFailedError)
    def sign_in_failed(_: Request, error: SignInFailedError) -> Response:
        return pages.message("You are not signed in", str(error), "Sign in again.", status=403, sign_in="/console")

    @app.exception_handler(SignedOutError)
    def signed_out(request: Request, _: SignedOutError) -> Response:
        session = pages.session(request)
        if session is not None and session.token is not None:
            pages.sessions.end(session)
            problem = "You were signed out, because your sign-in has expired. Nothing was done."
            return pages.message("Signed out", problem, "Sign in again to go on.", status=401, sign_in=_here(request))
        return sign_in_pages.sign_in_page(pages, request, _here(request))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, __: RequestValidationError) -> Response:
        return pages.message("Something is missing", "A part of the form is missing.", "Go back and fill it in.", 422)

    @app.exception_handler(HTTPException)
    def http_error(_: Request, error: Any) -> Response:
        if error.status_code == NOT_FOUND:
            return pages.message("Not found", "There is no such page.", "Look for the payment in the list.", NOT_FOUND)
        return pages.message("Refused", str(error.detail), "Go back and try again.", error.status_code)


def _add_api_errors(app: FastAPI, pages: Pages) -> None:
    @app.exception_handler(ApiRefusedError)
    def api_refused(_: Request, error: ApiRefusedError) -> Response:
        if error.status == FORBIDDEN:
            problem = "Your account is not an operator's, so it may not see payments."
            help_ = "Sign in with an operator's account, or ask for yours to be added to the group operators."
            return pages.message("Not allowed", problem, help_, status=FORBIDDEN, sign_in="/console")
        return pages.message("The API refused this", error.message, error.recovery, status=error.status)

    @app.exception_handler(ApiUnavailableError)
    def api_unavailable(_: Request, __: ApiUnavailableError) -> Response:
        problem = "The payments API does not answer."
        return pages.message("No answer", problem, "Try again in a moment. If it stays like this, see the alarms.", 502)


def _here(request: Request) -> str:
    """Where to go after signing in: this page, unless it was a form."""
    if request.method != "GET" or "hx-request" in request.headers:
        return "/console"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
