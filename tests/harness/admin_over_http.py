"""The addresses under `/local`, with the interface of LocalAdmin as far as tests use it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import requests

from local.admin_api.executions import Execution, Workflow

type Json = dict[str, Any]


class AdminOverHttp:
    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = requests.request(
            method, f"{self._url}/local/{path}", json=None if method == "GET" else body, timeout=30
        )
        if answer.status_code == requests.codes.not_found:
            raise LookupError(answer.text)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def reserve(self, *, nights: int, check_in: date | None, total_amount: int, **more: Any) -> Json:
        dated = {} if check_in is None else {"check_in": check_in.isoformat()}
        return dict(self.call("POST", "reservations", nights=nights, total_amount=total_amount, **dated, **more))

    def change_reservation(self, reservation_id: str, *, status: str | None, total_amount: int | None) -> Json:
        return dict(self.call("PATCH", f"reservations/{reservation_id}", status=status, total_amount=total_amount))

    def token(self, customer_id: str | None = None, groups: Sequence[str] = ()) -> Json:
        return dict(self.call("POST", "tokens", customer_id=customer_id, groups=list(groups)))

    def reservation(self, reservation_id: str) -> Json:
        return dict(self.call("GET", f"reservations/{reservation_id}"))

    def payment(self, id_: str) -> Json:
        return dict(self.call("GET", f"payments/{id_}"))

    def night(self, day: str) -> Json:
        return dict(self.call("GET", f"availability/{day}"))

    def executions(self, workflow: Workflow) -> list[Json]:
        return list(self.call("GET", f"executions?workflow={workflow}"))

    def execution(self, name: str, workflow: Workflow = "payment") -> Execution:
        found = self.call("GET", f"executions/{name}?workflow={workflow}")
        found.pop("replacement", None)
        return Execution(**found)

    def stop_execution(self, name: str, workflow: Workflow = "payment") -> None:
        assert self.call("POST", f"executions/{name}/stop?workflow={workflow}") == {"status": "ABORTED"}

    def reconcile(self) -> Json:
        return dict(self.call("POST", "reconcile"))

    def events(self) -> list[Json]:
        return list(self.call("GET", "events"))

    def notifications(self) -> list[Json]:
        return list(self.call("GET", "notifications"))
