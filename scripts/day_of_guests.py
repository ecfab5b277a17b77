"""The guests of a day: when they come, what they do, and what that makes the stack request."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import requests

from local.aws import aws_account
from local.aws.clients import client
from local.aws.request_units import MeteredRequest, meter
from local.quotas import Quotas
from local.stack import LocalStack

DAY, HOLD = 86_400, 86_400  # seconds
PATIENCE = 3 * HOLD  # until every booking has come to its end
# Guests by the hour in which they press "Pay now": few at night, most in the evening.
# The day begins at nine in the morning.
HOURS = (8, 8, 9, 9, 8, 8, 8, 9, 10, 12, 16, 20, 15, 9, 4, 2, 1, 1, 1, 1, 2, 3, 5, 7)
# In the evening a sale opens: this share of the day's guests come at once, each after so many seconds on average.
SALE_HOUR, SALE_SHARE, SALE_SECONDS = 11, 0.1, 5.0
CARD, DECLINED = "4242424242424242", "4000000000000002"
LEAVES, DECLINED_FIRST = 0.1, 0.1  # shares of the guests
GIVES_UP = 600  # seconds that a guest asks again for a page to pay on
SCHEDULED = {"reconcile_payments", "reconcile_ledger"}


@dataclass
class Guest:
    """What became of a guest. Times in seconds of virtual time since 1970, 0 if it did not happen."""

    reservation_id: str
    token: str
    pays: bool
    declined_first: bool
    thinks: float
    waited: float = 0.0
    paid: float = 0.0


@dataclass
class Work:
    """What all bookings together have requested of DynamoDB, without the schedules: the most used key of each index.

    `reads`: how often each function has read what.
    """

    units: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    keys: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, request: MeteredRequest) -> None:
        if request.caller in {aws_account.LOCAL, *SCHEDULED}:
            return
        kind = "write" if request.write else "read"
        self.units[f"DynamoDB {kind} requests"] += 1
        self.units[f"DynamoDB {kind} units"] += request.write or request.read  # type: ignore[assignment]
        if not request.write:
            self.reads[f"{request.caller}: {request.operation} {request.what}"] += 1
        for (part, key), units in request.partitions.items():
            if request.write:
                self.keys[part.split("-", 2)[-1], key] += units  # type: ignore[assignment]

    def hottest(self) -> dict[str, float]:
        """By table and index, the write units of the key that has most."""
        found: dict[str, float] = {}
        for (part, _), units in self.keys.items():
            found[part] = max(found.get(part, 0), units)
        return found


class Day:
    """`guests`: by the reservation's id. `refused`: the answers to guests that let them ask again, by status."""

    def __init__(self, stack: LocalStack, quotas: Quotas, bookings: int, seconds: float) -> None:
        self._stack, self._quotas, self._seconds = stack, quotas, seconds
        self._random = Random(1)  # noqa: S311 - repeatable, not secret
        self.bookings = bookings
        self.guests: dict[str, Guest] = {}
        self.refused: Counter[int] = Counter()
        self.work = Work()

    def run(self) -> None:
        """Let all guests come, and wait until every booking is confirmed or released."""
        aws_account.quotas = self._stack.fake_stripe.quotas = self._quotas

        def note(request: MeteredRequest) -> None:
            self.work.note(request)
            if request.caller != aws_account.LOCAL:
                self._quotas.spend_units(request)

        meter.start(note)
        began, threads, cpu = time.time(), [], time.process_time()
        for number, arrival in enumerate(self._arrivals(), 1):
            time.sleep(max(0.0, began + arrival - time.time()))
            thread = threading.Thread(target=self._visit, args=(self._new_guest(),))
            thread.start()
            threads.append(thread)
            if number % max(1, self.bookings // 20) == 0:
                print(
                    f"  {datetime.now(UTC):%H:%M:%S} {number} guests, "
                    f"{sum(self._quotas.throttled.values())} calls throttled, {time.process_time() - cpu:.0f} s CPU",
                    flush=True,
                )
        for thread in threads:
            thread.join()
        self._wait_for_ends()
        meter.stop()

    def _arrivals(self) -> list[float]:
        """Seconds after the beginning, in order."""
        scale = self._seconds / DAY
        sale = round(self.bookings * SALE_SHARE)
        hours = self._random.choices(range(24), HOURS, k=self.bookings - sale)
        arrivals = [3600 * scale * (hour + self._random.random()) for hour in hours]
        opens = 3600 * scale * SALE_HOUR
        return sorted([*arrivals, *(opens + self._random.expovariate(1 / SALE_SECONDS) for _ in range(sale))])

    def _new_guest(self) -> Guest:
        booking, draw = self._stack.admin.reserve(nights=1), self._random.random
        guest = Guest(
            booking["reservation_id"],
            booking["guest_token"],
            pays=draw() >= LEAVES,
            declined_first=draw() < DECLINED_FIRST,
            thinks=self._random.uniform(30, 240),
        )
        self.guests[guest.reservation_id] = guest
        return guest

    def _visit(self, guest: Guest) -> None:
        """Press "Pay now", pay at Stripe, and come back to the page that waits for the confirmation."""
        began, session = time.time(), ""
        body = {"reservation_id": guest.reservation_id}
        while not session:
            status, answer = self._call(guest, "POST", "checkout-session", body)
            if status == requests.codes.conflict:
                status, answer = self._call(guest, "POST", f"{guest.reservation_id}/retry")
            session = answer.get("checkout_session_id", "")
            if not session:
                self.refused[status] += 1
                if time.time() - began > GIVES_UP:
                    return
                time.sleep(self._random.uniform(1, 3))
        guest.waited = time.time() - began
        time.sleep(guest.thinks)
        if not guest.pays:
            return
        if guest.declined_first:
            self._stack.fake_stripe.pay(session, DECLINED)
            time.sleep(30)
        if self._stack.fake_stripe.pay(session, CARD).kind == "paid":
            guest.paid = time.time()
        for pause in (1, 2, 4, 8):
            time.sleep(pause)
            _, answer = self._call(guest, "GET", f"{guest.reservation_id}/status?session_id={session}")
            if answer.get("status") == "completed":
                return

    def _call(self, guest: Guest, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {guest.token}"}
        url = f"{self._stack.url}/api/payments/{path}"
        answer = requests.request(method, url, json=body, headers=headers, timeout=60)
        return answer.status_code, answer.json()

    def _wait_for_ends(self) -> None:
        deadline = time.time() + PATIENCE
        running = {"stateMachineArn": self._stack.outputs["paymentStateMachineArn"], "statusFilter": "RUNNING"}
        while time.time() < deadline and (
            self._quotas.not_repeated or client("stepfunctions").list_executions(**running)["executions"]
        ):
            time.sleep(3600)
