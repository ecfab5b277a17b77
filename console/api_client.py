"""The HTTP API, as the signed-in operator."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

TIMEOUT = 30  # seconds, a little more than API Gateway's own
UNAUTHORIZED = 401

type Json = dict[str, Any]


class SignedOutError(Exception):
    """The API does not accept the token any more."""


class ApiUnavailableError(Exception):
    """The API gave no answer."""


class ApiRefusedError(Exception):
    """The API refused the request: its message, what helps, and the HTTP status."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(body.get("error_code", ""))
        self.message = str(body.get("message", "The API refused the request."))
        self.recovery = str(body.get("recovery", ""))
        super().__init__(self.message)


class Api:
    """Each call raises SignedOutError, ApiRefusedError or ApiUnavailableError where it gets no answer to show."""

    def __init__(self, url: str, connection: requests.Session, token: str) -> None:
        self._url, self._connection, self._token = url, connection, token

    def payments(self, query: Mapping[str, str]) -> Json:
        return self.call("GET", "", query=query)

    def ledger_days(self, before: str | None) -> Json:
        return self.call("GET", "-ledger", query={} if before is None else {"before": before})

    def ledger_transactions(self, day: str, offset: int) -> Json:
        return self.call("GET", f"-ledger{_path(day, 'transactions')}", query={"offset": str(offset)})

    def payments_by_day(self) -> Json:
        return self.call("GET", "-by-day")

    def payment(self, reservation_id: str) -> Json:
        return self.call("GET", _path(reservation_id))

    def execution(self, reservation_id: str, name: str) -> Json:
        return self.call("GET", _path(reservation_id, "executions", name))

    def refund_quote(self, reservation_id: str) -> Json:
        return self.call("GET", _path(reservation_id, "refund-quote"))

    def cancel(self, reservation_id: str) -> Json:
        return self.call("POST", _path(reservation_id, "cancel"), {})

    def grant_attempt(self, reservation_id: str) -> Json:
        return self.call("POST", _path(reservation_id, "attempts"), {})

    def refund(self, reservation_id: str, body: Json, idempotency_key: str | None = None) -> Json:
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self.call("POST", _path(reservation_id, "refund"), body, headers=headers)

    def resolve_refund(self, reservation_id: str, refund_id: str, body: Json) -> Json:
        return self.call("POST", _path(reservation_id, "refunds", refund_id, "resolution"), body)

    def close_matter(self, reservation_id: str, kind: str, body: Json) -> Json:
        return self.call("POST", _path(reservation_id, "attention", kind, "close"), body)

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        try:
            answer = self._connection.request(
                method,
                f"{self._url}/payments{path}",
                params=query,
                json=body,
                headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            content = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise ApiUnavailableError from error
        if answer.status_code == UNAUTHORIZED:
            raise SignedOutError
        if not answer.ok:
            raise ApiRefusedError(answer.status_code, content)
        return dict(content)


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)
