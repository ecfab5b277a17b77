"""Checks the invariants whose violation shows only at the moment of a write."""

import re
from collections import defaultdict
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from local.aws import aws_account, emulator
from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters.dynamodb import from_item

WRITES = {f"dynamodb.{name}" for name in ("PutItem", "UpdateItem", "TransactWriteItems")}


class WriteMonitor:
    """`violations`: the invariants that were broken, by booking."""

    def __init__(self, stripe: FakeStripe, payments_table: str) -> None:
        self._stripe, self._payments = stripe, payments_table
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self._offered: defaultdict[str, set[str]] = defaultdict(set)
        self.violations: defaultdict[str, list[str]] = defaultdict(list)

    def before(self, operation: str, booking: str) -> None:
        if operation == "dynamodb.TransactWriteItems" and aws_account.current_function.get() == "release_hold":
            payable = self._open_sessions(booking)
            if payable:
                self.violations[booking].append(f"3: released while {sorted(payable)} can be paid")

    def after(self, operation: str, booking: str, text: str, response: Any) -> None:
        if operation in WRITES and '"PAY-' in text:
            self._check_captures(booking)
        if operation != "dynamodb.UpdateItem" or response is None or response.status_code != 200:
            return
        self._check_sequence(booking, text)
        offered = re.search(r'":session": *\{"S": *"(\w+)"', text) if '":url"' in text else None
        if offered is None:
            return
        self._offered[booking].add(offered[1])
        payable = self._open_sessions(booking)
        if len(payable) > 1:
            self.violations[booking].append(f"6: {sorted(payable)} can be paid at the same time")

    def _check_captures(self, booking: str) -> None:
        """What is left of each capture now, in moto's memory."""
        items = dynamodb_backends[emulator.ACCOUNT][emulator.REGION].tables[self._payments].items
        captured = [item.attrs["captures"] for item in list(items.values()) if "captures" in item.attrs]
        for captures in captured:
            for pi, of in from_item({"captures": captures.to_regular_json()})["captures"].items():
                problem = f"15: {of['refundable']} of {of['amount']} cents are left of {pi}"
                if not 0 <= of["refundable"] <= of["amount"] and problem not in self.violations[booking]:
                    self.violations[booking].append(problem)

    def _check_sequence(self, booking: str, text: str) -> None:
        written = re.search(r'":sequence": *\{"N": *"(\d+)"', text)
        if written is None:
            return
        wait = f"{booking} {re.findall(r'"#id": *"([^"]+)"', text)}"
        if int(written[1]) < self._sequences[wait]:
            self.violations[booking].append("8: an older task token has replaced a newer one")
        self._sequences[wait] = max(int(written[1]), self._sequences[wait])

    def _open_sessions(self, booking: str) -> set[str]:
        """The offered sessions that can be paid at Stripe now."""
        with self._stripe.lock:
            sessions = [self._stripe.fetch(session_id) for session_id in self._offered[booking]]
        return {session["id"] for session in sessions if session and session["status"] == "open"}
