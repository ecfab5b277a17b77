"""A deployment while bookings wait: each ends on the definition and the functions that it began with."""

import gc
import json
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra import packaging
from local.pulumi import automation
from local.stack import LocalStack
from statemachines.render import render
from tests.e2e.conftest import Booking, Client, until
from tests.real.conftest import tool_or_skip

pytestmark = [
    pytest.mark.pulumi,
    # Pulumi complains of its own modules, and leaves event loops and pipes open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[2]
type Json = dict[str, Any]


class Releases:
    """What the program is deployed from in place of the working tree: releases of the code, and of the definition."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch

    def take(self, name: str, *, note: bool) -> None:
        """Functions that say the name of their release whenever they run; `note`: a state more."""
        root = self._folder / name
        if not root.exists():
            for package in ("lambdas", "shared"):
                shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
            self._mark(root / "lambdas" / "verify_payment.py", _saying(name, "reservation_id"))
            self._mark(root / "lambdas" / "check_refund.py", _saying(name, "refund_id"))
        self._monkeypatch.setattr(packaging, "_ROOT", root)
        self._monkeypatch.setattr("infra.workflow.render", noted if note else render)

    @staticmethod
    def _mark(path: Path, line: str) -> None:
        text, marked = re.subn(
            r"(    request = \w+\.model_validate\(event\)\n)", lambda found: f"{found[1]}    {line}\n", path.read_text()
        )
        assert marked == 1
        path.write_text(text)


def _saying(name: str, id_: str) -> str:
    """At once, since several functions write to one log."""
    return f'print(f"<release {name} {{request.{id_}}}>\\n", end="")'


def noted(name: str, values: Mapping[str, str | int]) -> str:
    """The definition with a state that only passes on, between looking and deciding."""
    definition = json.loads(render(name, values))
    if name == "payment":
        states = definition["States"]
        states["NoteRelease"] = {"Type": "Pass", "Comment": "Pass on.", "Next": states["VerifyPayment"]["Next"]}
        states["VerifyPayment"]["Next"] = "NoteRelease"
    return json.dumps(definition)


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    return Releases(tmp_path, monkeypatch)


@pytest.fixture
def client(releases: Releases) -> Iterator[Client]:
    tool_or_skip(automation.cli)
    for name in [name for name in sys.modules if name.startswith("lambdas.")]:
        del sys.modules[name]
    releases.take("one", note=False)
    with LocalStack(pulumi=True) as stack:
        yield Client(stack)
    gc.collect()


class Waiting:
    """20 bookings in AwaitPayment, 20 in AwaitRetry, 5 with a refund in AwaitRefundSettlement."""

    def __init__(self, client: Client) -> None:
        self._client = client
        with ThreadPoolExecutor(4) as pool:
            self.paying = list(pool.map(lambda _: self._paying(), range(20)))
            self.retrying = list(pool.map(lambda _: self._retrying(), range(20)))
            client.local("PUT", "stripe/refunds", status="pending")
            self.refunding = list(pool.map(lambda _: self._refunding(), range(5)))
            client.local("PUT", "stripe/refunds", status=None)

    @property
    def bookings(self) -> list[Booking]:
        return [*[booking for booking, _ in self.paying], *self.retrying, *self.refunding]

    def _paying(self) -> tuple[Booking, Json]:
        booking = self._client.booking()
        session = booking.session()
        booking.wait_in("AwaitPayment")
        return booking, session

    def _retrying(self) -> Booking:
        booking = self._client.booking()
        session = booking.session()
        booking.wait_in("AwaitPayment")
        self._client.local("POST", f"stripe/sessions/{session['checkout_session_id']}/expire")
        booking.wait_in("AwaitRetry")
        return booking

    def _refunding(self) -> Booking:
        booking = self._client.booking()
        booking.pay(booking.session())
        booking.ended()
        assert booking.post("refund").status_code == 202
        until(
            lambda: self.refund(booking).get("waiting_in") == "AwaitRefundSettlement",
            lambda: str(self.refund(booking)),
        )
        return booking

    def refund(self, booking: Booking) -> Json:
        name = f"PAY-{booking.id}-cancellation"
        return dict(self._client.local("GET", f"executions/{name}?workflow=refund"))

    def go_on(self) -> None:
        """Each is paid, or refunded, in the end."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda pair: pair[0].pay(pair[1]), self.paying))
            list(pool.map(self._retry, self.retrying))
            list(pool.map(self._settle, self.refunding))
        for booking in [*[booking for booking, _ in self.paying], *self.retrying]:
            assert booking.ended()["status"] == "SUCCEEDED"
            payment = booking.payment
            assert (payment["status"], booking.reservation["status"]) == ("completed", "confirmed")
            assert [capture["role"] for capture in payment["captures"].values()] == ["booking"]
        for booking in self.refunding:
            self._refunded(booking)
            assert self.refund(booking)["visited"][-1] == "RefundCompleted"
            payment = booking.payment
            assert (payment["status"], booking.reservation["status"]) == ("refunded", "cancelled")
            assert [entry["status"] for entry in payment["refunds"].values()] == ["succeeded"]

    def _retry(self, booking: Booking) -> None:
        answer = booking.post("retry")
        assert answer.status_code == 201, answer.text
        booking.pay(answer.json())

    def _refunded(self, booking: Booking) -> None:
        until(lambda: self.refund(booking)["status"] != "RUNNING", lambda: str(self.refund(booking)))

    def _settle(self, booking: Booking) -> None:
        (entry,) = booking.payment["refunds"].values()
        self._client.local("POST", f"stripe/refunds/{entry['stripe_refund_id']}", status="succeeded")


def ran(client: Client) -> dict[str, set[str]]:
    """The releases whose functions have worked on a booking or refund, by its id."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, id_ in re.findall(r"<release (\w+) (\S+)>", client.stack.log.read_text()):
        found[id_].add(name)
    return found


def everything_of(waiting: Waiting) -> list[str]:
    """The ids by which the functions of a release have told of the 45."""
    return [
        *[booking.id for booking in waiting.bookings],
        *[f"PAY-{booking.id}-cancellation" for booking in waiting.refunding],
    ]


def test_what_waits_ends_as_it_began_and_what_is_new_is_new_forward_and_back(
    client: Client, releases: Releases
) -> None:
    first = Waiting(client)

    releases.take("two", note=True)
    changed = client.stack.engine.up()
    assert changed.keys() == {"same", "update"}
    assert changed["update"] == 12 + 12 + 2 + 2  # functions, state machines, and the alias `live` of each
    second = Waiting(client)
    first.go_on()

    releases.take("one", note=False)
    client.stack.engine.up()
    third = client.booking()
    third.pay(third.session())
    second.go_on()
    assert third.ended()["status"] == "SUCCEEDED"

    releases_of = ran(client)
    assert {id_: releases_of[id_] for id_ in everything_of(first)} == {id_: {"one"} for id_ in everything_of(first)}
    assert {id_: releases_of[id_] for id_ in everything_of(second)} == {id_: {"two"} for id_ in everything_of(second)}
    assert releases_of[third.id] == {"one"}
    for booking in [*first.bookings, third]:
        assert "NoteRelease" not in booking.execution["visited"]
    for booking in second.bookings:
        assert "NoteRelease" in booking.execution["visited"]
    # Nothing lost, nothing twice: one execution a booking, one a refund, and none of them from the working tree.
    assert len(client.local("GET", "executions")) == 45 + 45 + 1
    assert len(client.local("GET", "executions?workflow=refund")) == 5 + 5
    assert [name for name in sys.modules if name.startswith("lambdas.")] == []
