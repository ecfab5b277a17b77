"""Signing in and out."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from console.pages import Pages
from console.sign_in import COOKIE, LIFETIME, Session, SignInFailedError


def add_routes(app: FastAPI, pages: Pages) -> None:
    form = Annotated[dict[str, str], Depends(pages.form)]

    @app.get("/console/sign-in")
    def sign_in(request: Request, to: str = "/console") -> Response:
        return sign_in_page(pages, request, to)

    @app.post("/console/sign-in")
    def one_click(request: Request, fields: form) -> Response:
        session = pages.session(request)
        if session is None or pages.configuration.sign_in.redirects:
            raise SignInFailedError("This console signs people in at another page.")
        return _signed_in(pages, session, pages.configuration.sign_in.finish(session, {}), fields.get("to", ""))

    @app.get("/console/sign-in/start")
    def start(request: Request, to: str = "/console") -> Response:
        session = pages.session(request) or pages.sessions.begin()
        session.attempt = {"to": _own(to)}
        return _with_cookie(RedirectResponse(pages.configuration.sign_in.start(session), 303), session)

    @app.get("/console/callback")
    def callback(request: Request) -> Response:
        session = pages.session(request)
        if session is None or session.attempt is None:
            raise SignInFailedError("This sign-in was not started in this browser, or too long ago.")
        to = session.attempt["to"]
        token = pages.configuration.sign_in.finish(session, dict(request.query_params))
        return _signed_in(pages, session, token, to)

    @app.post("/console/sign-out")
    def sign_out(request: Request, _: form) -> Response:
        if (session := pages.session(request)) is not None:
            pages.sessions.end(session)
        return RedirectResponse("/console/sign-in", 303)


def sign_in_page(pages: Pages, request: Request, to: str) -> Response:
    """The page with the one button or link."""
    session = pages.session(request) or pages.sessions.begin()
    redirects = pages.configuration.sign_in.redirects
    body = pages.render(
        "sign_in.html",
        {
            "session": session,
            "notice": None,
            "redirects": redirects,
            "to": _own(to),
            "start": f"/console/sign-in/start?to={quote(_own(to), safe='')}",
        },
    )
    return _with_cookie(Response(body, media_type="text/html"), session)


def _signed_in(pages: Pages, session: Session, token: str, to: str) -> Response:
    pages.sessions.end(session)
    return _with_cookie(RedirectResponse(_own(to), 303), pages.sessions.begin(token))


def _with_cookie(response: Response, session: Session) -> Response:
    # Lax, because the provider's page leads back here. Not `secure`: the console listens on the loopback address only.
    response.set_cookie(COOKIE, session.id, max_age=LIFETIME, path="/console", httponly=True, samesite="lax")
    return response


def _own(to: str) -> str:
    """A page of this console, and no other address."""
    return to if to.partition("?")[0] == "/console" or to.startswith("/console/") else "/console"
