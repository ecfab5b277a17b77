"""A deployment while bookings wait: each finishes on the definition and the functions that it started with."""

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
from scripts.prune_versions import prune
from statemachines.render import render
from tests.e2e.conftest import StackOverHttp
from tests.harness.booking_driver import BookingDriver
from tests.harness.leaks import WatchedStack
from tests.infra.deployed import FUNCTIONS, STARTERS
from tests.real.pulumi_cloud import PULUMI_MARKS

pytestmark = PULUMI_MARKS

ROOT = Path(__file__).parents[2]
type Json = dict[str, Any]


class Releases:
    """Releases of the code and the definition, from which the program is deployed in place of the working tree."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch

    def select(self, name: str, *, extra_state: bool) -> None:
        """The next deployment takes this release, whose functions print its name when they run."""
        root = self._folder / name
        if not root.exists():
            for package in ("lambdas", "shared"):
                shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
            self._insert(root / "lambdas" / "verify_payment.py", _print_release(name, "reservation_id"))
            self._insert(root / "lambdas" / "check_refund.py", _print_release(name, "refund_id"))
        self._monkeypatch.setattr(packaging, "_ROOT", root)
        self._monkeypatch.setattr("infra.workflow.render", with_extra_state if extra_state else render)

    @staticmethod
    def _insert(path: Path, line: str) -> None:
        text, inserted = re.subn(
            r"(    request = \w+\.model_validate\(event\)\n)", lambda found: f"{found[1]}    {line}\n", path.read_text()
        )
        assert inserted == 1
        path.write_text(text)


def _print_release(name: str, id_: str) -> str:
    """A statement that prints one string, newline included, since several functions write to one log."""
    return f'print(f"<release {name} {{request.{id_}}}>\\n", end="")'


def with_extra_state(name: str, values: Mapping[str, str | int]) -> str:
    """The definition with a Pass state after VerifyPayment."""
    definition = json.loads(render(name, values))
    if name == "payment":
        states = definition["States"]
        states["NoteRelease"] = {"Type": "Pass", "Comment": "Does nothing.", "Next": states["VerifyPayment"]["Next"]}
        states["VerifyPayment"]["Next"] = "NoteRelease"
    return json.dumps(definition)


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    return Releases(tmp_path, monkeypatch)


@pytest.fixture
def stack(pulumi_cli: None, releases: Releases) -> Iterator[StackOverHttp]:
    for name in [name for name in sys.modules if name.startswith("lambdas.")]:
        del sys.modules[name]
    releases.select("one", extra_state=False)
    with WatchedStack(pulumi=True) as local:
        yield StackOverHttp(local)
    gc.collect()


class Waiting:
    """20 bookings in AwaitPayment, 20 in AwaitRetry, 5 with a refund in AwaitRefundSettlement."""

    def __init__(self, stack: StackOverHttp) -> None:
        self._stack = stack
        with ThreadPoolExecutor(4) as pool:
            self.paying = list(pool.map(lambda _: self._paying(), range(20)))
            self.retrying = list(pool.map(lambda _: self._retrying(), range(20)))
            stack.admin.call("PUT", "stripe/refunds", status="pending")
            self.refunding = list(pool.map(lambda _: self._refunding(), range(5)))
            stack.admin.call("PUT", "stripe/refunds", status=None)

    @property
    def bookings(self) -> list[BookingDriver]:
        return [*self.paying, *self.retrying, *self.refunding]

    def _paying(self) -> BookingDriver:
        booking = self._stack.reserve()
        booking.pay_now()
        booking.wait_in("AwaitPayment")
        return booking

    def _retrying(self) -> BookingDriver:
        booking = self._paying()
        self._stack.admin.call("POST", f"stripe/sessions/{booking.session}/expire")
        booking.wait_in("AwaitRetry")
        return booking

    def _refunding(self) -> BookingDriver:
        booking = self._paying()
        booking.pay_on_page()
        booking.wait_for_end()
        assert booking.refund().status == 202
        booking.wait_refund_in("AwaitRefundSettlement")
        return booking

    def finish(self) -> None:
        """Pay or refund every booking."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(BookingDriver.pay_on_page, self.paying))
            list(pool.map(self._retry, self.retrying))
            list(pool.map(self._settle, self.refunding))
        for booking in [*self.paying, *self.retrying]:
            assert booking.wait_for_end().status == "SUCCEEDED"
            assert (booking.payment["status"], booking.reservation_status) == ("completed", "confirmed")
            assert [capture["role"] for capture in booking.payment["captures"].values()] == ["booking"]
        for booking in self.refunding:
            assert booking.wait_for_refund_end().visited[-1] == "RefundCompleted"
            assert (booking.payment["status"], booking.reservation_status) == ("refunded", "cancelled")
            assert [entry["status"] for entry in booking.payment["refunds"].values()] == ["succeeded"]

    def _retry(self, booking: BookingDriver) -> None:
        assert booking.retry().status == 201
        booking.pay_on_page()

    def _settle(self, booking: BookingDriver) -> None:
        refund = booking.entry()["stripe_refund_id"]
        self._stack.admin.call("POST", f"stripe/refunds/{refund}", status="succeeded")


def releases_by_id(stack: StackOverHttp) -> dict[str, set[str]]:
    """The releases whose functions have worked on a booking or refund, by its id."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, id_ in re.findall(r"<release (\w+) (\S+)>", stack.local.log.read_text()):
        found[id_].add(name)
    return found


def ids_of(waiting: Waiting) -> list[str]:
    """The ids that the functions of a release print for the 45."""
    return [*[booking.id for booking in waiting.bookings], *[booking.cancellation_id for booking in waiting.refunding]]


@pytest.mark.defect("A-11")
def test_waiting_bookings_finish_on_their_release_and_new_ones_start_on_the_newest(
    stack: StackOverHttp, releases: Releases
) -> None:
    """Forward to a new release, and back to the old one; versions that nothing needs are deleted meanwhile."""
    first = Waiting(stack)

    releases.select("two", extra_state=True)
    changed = stack.local.engine.up()
    assert changed.keys() == {"same", "update"}
    assert changed["update"] == 14 + 14 + 2 + 2  # functions, state machines, and the alias `live` of each
    second = Waiting(stack)
    first.finish()

    releases.select("one", extra_state=False)
    stack.local.engine.up()
    third = stack.reserve()
    third.pay_now()
    third.pay_on_page()
    # The second still waits. What begins work by itself, and no workflow calls, needs its newest version only.
    pruned = prune(stack.outputs, [f"booking-local-{name}" for name in FUNCTIONS])
    by_itself = {*STARTERS, "reconcile-ledger"}
    assert pruned == [
        f"booking-local-{name}:{version}" for name in FUNCTIONS for version in ((1, 2) if name in by_itself else (1,))
    ]
    second.finish()
    assert third.wait_for_end().status == "SUCCEEDED"

    releases_of = releases_by_id(stack)
    assert {id_: releases_of[id_] for id_ in ids_of(first)} == {id_: {"one"} for id_ in ids_of(first)}
    assert {id_: releases_of[id_] for id_ in ids_of(second)} == {id_: {"two"} for id_ in ids_of(second)}
    assert releases_of[third.id] == {"one"}
    for booking in [*first.bookings, third]:
        assert "NoteRelease" not in booking.execution().visited
    for booking in second.bookings:
        assert "NoteRelease" in booking.execution().visited
    # Nothing is lost or repeated: one execution for each booking and refund, and none of them from the working tree.
    assert len(stack.admin.executions("payment")) == 45 + 45 + 1
    assert len(stack.admin.executions("refund")) == 5 + 5
    assert [name for name in sys.modules if name.startswith("lambdas.")] == []
