"""What all pages share: the session of the browser, the API as its operator, and the templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console import wording
from console.api_client import Api, SignedOutError
from console.console_configuration import Configuration
from console.security import check_csrf
from console.sign_in import COOKIE, Session, Sessions
from console.wording import Clock

TEMPLATES = Path(__file__).parent / "templates"

type Context = Mapping[str, Any]


def templates(*folders: Path, **names: Any) -> Environment:
    """The templates of these folders and of the console; `names` are known to all of them."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(names)
    return environment


class Pages:
    def __init__(self, configuration: Configuration, sessions: Sessions, connection: requests.Session) -> None:
        self.configuration, self.sessions = configuration, sessions
        self.clock = Clock(configuration.time_zone)
        self._connection = connection
        self._templates = templates(
            wording=wording,
            amount=wording.amount,
            words=wording.words,
            clock=self.clock,
            stripe_dashboard=configuration.stripe_dashboard,
            aws_console=configuration.aws_console,
            neighbours=configuration.neighbours,
        )

    def session(self, request: Request) -> Session | None:
        return self.sessions.find(request.cookies.get(COOKIE))

    def signed_in(self, request: Request) -> tuple[Session, Api]:
        """The session and the API as its operator. Raises SignedOutError."""
        session = self.session(request)
        if session is None or session.token is None:
            raise SignedOutError
        return session, Api(self.configuration.api_url, self._connection, session.token)

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form that one of our pages sent. Raises RefusedError, SignedOutError."""
        session = self.session(request)
        if session is None:
            raise SignedOutError
        fields = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        check_csrf(session.csrf, fields.pop("csrf", None))
        return fields

    def page(self, name: str, request: Request, context: Context, status: int = 200) -> HTMLResponse:
        session = self.session(request)
        notice = None if session is None or name.startswith("_") else session.take_notice()
        return HTMLResponse(self.render(name, {**context, "session": session, "notice": notice}), status)

    def render(self, name: str, context: Context) -> str:
        return self._templates.get_template(name).render(context)

    def message(
        self,
        title: str,
        problem: str,
        help_: str,
        status: int = 200,
        *,
        sign_in: str | None = None,
        back: str = "/console",
    ) -> Response:
        """A page that says what is wrong and what to do; with `sign_in` it leads there by way of signing in."""
        context = {"title": title, "problem": problem, "help": help_, "sign_in": sign_in, "back": back}
        return HTMLResponse(self.render("message.html", {**context, "session": None, "notice": None}), status)
