import contextlib
import gc
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local.stack import LocalStack

VISA, DECLINED, NO_FUNDS = "4242424242424242", "4000000000000002", "4000000000009995"

PATIENCE = 90.0  # seconds until a condition is given up; nothing is asserted about how long it took

type Json = dict[str, Any]


class Client:
    """Somebody at the other end of HTTP."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.url = stack.url

    def local(self, method: str, path: str, **body: Any) -> Any:
        answer = requests.request(
            method, f"{self.url}/local/{path}", json=None if method == "GET" else body, timeout=30
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def api(self, method: str, path: str, token: str | None, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(
            method,
            f"{self.url}/api/{path}",
            json=body,
            headers=headers | options.pop("headers", {}),
            timeout=40,
            **options,
        )

    def booking(self, **reservation: Any) -> "Booking":
        return Booking(self, self.local("POST", "reservations", **({"nights": 2} | reservation)))


class Booking:
    """A reservation with its guest."""

    def __init__(self, client: Client, reservation: Json) -> None:
        self.client = client
        self.id: str = reservation["reservation_id"]
        self.token: str = reservation["guest_token"]
        self.nights: list[str] = [reservation["check_in"]]
        self.customer_id: str = reservation["customer_id"]

    def pay_now(self, **body: Any) -> requests.Response:
        body = {"reservation_id": self.id} | body
        return self.client.api("POST", "payments/checkout-session", self.token, body)

    def session(self) -> Json:
        """The new session; on a slow machine the first call may answer 202, and the next finds it."""
        answer = self.pay_now()
        assert answer.status_code in {201, 202}, answer.text
        while answer.status_code == requests.codes.accepted:
            answer = self.pay_now()
            assert answer.status_code in {200, 201, 202}, answer.text
        return dict(answer.json())

    def session_again(self) -> Json:
        """The session that is open already."""
        answer = self.pay_now()
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def post(self, route: str) -> requests.Response:
        return self.client.api("POST", f"payments/{self.id}/{route}", self.token)

    def status(self) -> Json:
        answer = self.client.api("GET", f"payments/{self.id}/status", self.token)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def pay(self, session: Json, card: str = VISA) -> int:
        """Status of the pay page's answer: 303 paid, 402 declined."""
        return requests.post(
            session["checkout_url"], data={"card_number": card}, allow_redirects=False, timeout=30
        ).status_code

    @property
    def execution(self) -> Json:
        return dict(self.client.local("GET", f"executions/{self.id}"))

    @property
    def payment(self) -> Json:
        return dict(self.client.local("GET", f"payments/{self.id}"))

    @property
    def reservation(self) -> Json:
        return dict(self.client.local("GET", f"reservations/{self.id}"))

    @property
    def dates(self) -> set[str]:
        return {self.client.local("GET", f"availability/{night}")["status"] for night in self.nights}

    def wait_in(self, state: str) -> None:
        until(lambda: self.execution.get("waiting_in") == state, lambda: f"{state}; {self.execution}")

    def ended(self) -> Json:
        until(lambda: self.execution["status"] != "RUNNING", lambda: f"an end; {self.execution}")
        return self.execution


def until(check: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain for {what()}"
        time.sleep(0.05)


def secrets_read_long_ago() -> None:
    """No function counts a refused secret as one that it has just read anew, wherever its code runs from."""
    for name, module in list(sys.modules.items()):
        if name.endswith("shared.adapters.secrets"):
            module._refreshed.clear()


@contextlib.contextmanager
def pulumi_quiet() -> Iterator[None]:
    """Pulumi complains of its own modules when they are first imported, and leaves event loops open."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"aws\.", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def at_once[T](number: int, call: Callable[[int], T]) -> list[T]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    """What the module's stack is told; modules have their own."""
    return {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pulumi", action="store_true", help="on stacks that the Pulumi engine has deployed")


@pytest.fixture(scope="module")
def client(config: dict[str, str | int], pytestconfig: pytest.Config) -> Iterator[Client]:
    with contextlib.ExitStack() as end:
        with pulumi_quiet():
            stack = end.enter_context(
                LocalStack(config=config, pulumi=pytestconfig.getoption("--pulumi", default=False))
            )
        yield Client(stack)


@pytest.fixture(autouse=True)
def as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Faults that a test left, and webhooks it held, are no other test's."""
    yield
    if "client" in request.fixturenames:
        fake_stripe = request.getfixturevalue("client").stack.fake_stripe
        fake_stripe.faults.clear()
        fake_stripe.webhooks.set_mode("deliver")
