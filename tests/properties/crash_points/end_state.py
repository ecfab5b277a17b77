"""The end of a scenario, in a form in which two runs can be compared."""

import re
from dataclasses import dataclass

from tests.properties.crash_points.crash_driver import CrashDriver
from tests.properties.simulation.invariants import violations
from tests.properties.simulation.snapshots import StackSnapshot

_IDS_AND_TIMES = re.compile(r"\b(?:RES|PAY|REF|re|pi|du|dp|cs)[-_][\w-]+|https:\S+|\b\d{4}-\d\d-\d\dT[\d:.]+Z")

# Functions publish these themselves. If one crashes there, its repeat finds the work done and publishes nothing.
# The reminder is not repeated by a replacement that begins after its time.
MAY_BE_LOST = {"BookingCancelled", "RefundFailed", "PaymentDisputed", "HoldEnding"}


@dataclass(frozen=True)
class EndState:
    """What must be the same after every run; ids and times are left out, since they differ."""

    reservation: str
    night: str
    payment: str
    refunded_and_pending: tuple[int, int]
    sessions: list[str]
    attempts: list[tuple[str, int]]
    captures: list[tuple[int, int, str]]
    ledger: list[tuple[str, int, str]]
    refunds_at_stripe: list[tuple[int, str]]
    disputes: list[str]
    notifications: list[str]
    events: list[str]
    violations: list[str]

    def difference(self, expected: "EndState", ignored: frozenset[str]) -> str:
        """Each field that is not as expected."""
        return "; ".join(
            f"{name}: {getattr(self, name)} instead of {value}"
            for name, value in vars(expected).items()
            if name not in ignored and getattr(self, name) != value
        )


def end_state(driver: CrashDriver) -> EndState:
    booking = StackSnapshot(driver.stack).of(driver)
    payment = booking.payment
    events = {event["detail_type"] for event in driver.stack.admin.events() if _is_about(event, driver)}
    return EndState(
        reservation=booking.reservation["status"],
        night=driver.nights_status,
        payment=payment.get("status", "none"),
        refunded_and_pending=(payment.get("refund_amount", 0), payment.get("refund_pending_amount", 0)),
        sessions=sorted(session["status"] for session in booking.sessions),
        attempts=sorted((attempt["status"], attempt["counted"]) for attempt in payment.get("attempts", {}).values()),
        captures=sorted(
            (one["amount"], one["refundable"], one.get("role", "none")) for one in booking.captures.values()
        ),
        ledger=sorted((one["kind"], one["amount"], one["status"]) for one in booking.ledger.values()),
        refunds_at_stripe=sorted((refund["amount"], refund["status"]) for refund in booking.refunds),
        disputes=sorted(one["status"] for one in payment.get("disputes", {}).values()),
        notifications=sorted(
            {_IDS_AND_TIMES.sub("…", text) for text in booking.notifications if not text.startswith("ExecutionDied")}
        ),
        events=sorted(events - MAY_BE_LOST),
        violations=[*driver.stack.monitor.violations[driver.id], *violations(booking)],
    )


def _is_about(event: dict[str, dict[str, str]], driver: CrashDriver) -> bool:
    return event["detail"].get("reservation_id") == driver.id
