"""How a person signs in, and what the console remembers of it: in memory only, and only a cookie on their side."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

COOKIE = "console_session"
LIFETIME = 8 * 3600  # seconds; the API refuses the token of a session earlier, after an hour
MOST_SESSIONS = 1000


class SignInFailedError(Exception):
    """The person could not be signed in; the message says why."""


@dataclass
class Session:
    """One browser. `token` is None until its person has signed in; `attempt` is a sign-in that is under way."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    began: float = field(default_factory=time.monotonic)
    token: str | None = None
    attempt: dict[str, str] | None = None
    notice: tuple[str, str] | None = None

    def say(self, text: str, *, tone: Literal["notice", "error"] = "notice") -> None:
        """Have the next page say this, once."""
        self.notice = tone, text

    def take_notice(self) -> tuple[str, str] | None:
        notice, self.notice = self.notice, None
        return notice


class Sessions:
    """The sessions of one console; the oldest makes room for a new one."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, session_id: str | None) -> Session | None:
        with self._lock:
            session = self._sessions.get(session_id or "")
        return session if session is not None and time.monotonic() - session.began < LIFETIME else None

    def begin(self, token: str | None = None) -> Session:
        """A new session; signing in begins one too, so that nobody can plant an id that is then signed in."""
        session = Session(token=token)
        with self._lock:
            self._sessions[session.id] = session
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def end(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.id, None)


class SignIn(Protocol):
    """`redirects`: whether people sign in at a page of the provider; otherwise one click is enough."""

    @property
    def redirects(self) -> bool: ...

    def start(self, session: Session) -> str:
        """The address of the provider's page, for this attempt to sign in."""

    def finish(self, session: Session, answer: dict[str, str]) -> str:
        """The token, from the provider's answer. Raises SignInFailedError."""


@dataclass(frozen=True)
class OneClick:
    """Signs everybody in as the local stack's operator."""

    issue_token: Callable[[], str]
    redirects: bool = False

    def start(self, session: Session) -> str:  # noqa: ARG002 - nothing to start
        return ""

    def finish(self, session: Session, answer: dict[str, str]) -> str:  # noqa: ARG002 - nobody was asked
        return self.issue_token()
