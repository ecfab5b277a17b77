"""shared.adapters.notifications: events never block, notifications are sent or raise."""

import io
import json
from typing import Any

import pytest

from shared.adapters import notifications
from shared.contracts.booking_events import HoldReleased
from shared.domain.errors import NotificationFailed
from tests.harness.builders import NOW, payment
from tests.harness.fake_aws_clients import FakeAws, client_error

EVENT = HoldReleased.about(payment(), "", NOW, nights=["2026-12-20"])


class Bus:
    """A bus that answers with `answer`, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.entries: list[Any] = []

    def put_events(self, Entries: list[Any]) -> Any:  # noqa: N803
        self.entries += Entries
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        ({"FailedEntryCount": 0}, []),
        ({"FailedEntryCount": 1}, ["not published"]),
        (client_error("InternalFailure"), ["not published"]),
    ],
    ids=["taken", "refused", "no answer"],
)
def test_an_event_that_is_not_published_is_logged_and_nothing_else(
    answer: Any, logged: list[str], log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Bus(answer)
    monkeypatch.setattr(notifications, "_events", lambda: bus)
    notifications.publish(EVENT)
    assert bus.entries == [
        {
            "EventBusName": "bookings",
            "Source": "booking.payments",
            "DetailType": "HoldReleased",
            "Detail": '{"version":1,"event_id":"HoldReleased-PAY-RES-1","at":"2026-11-24T15:00:00.000Z",'
            '"reservation_id":"RES-1","payment_id":"PAY-RES-1","nights":["2026-12-20"]}',
        }
    ]
    assert [json.loads(line)["message"] for line in log.getvalue().splitlines()] == logged


def test_operators_are_notified(fake_aws: FakeAws) -> None:
    notifications.notify_operators("Late payment", "LatePayment: RES-1")
    assert fake_aws.messages == ["LatePayment: RES-1"]


def test_a_notification_that_is_not_sent_raises(fake_aws: FakeAws, log: io.StringIO) -> None:
    fake_aws.refusals = 1
    with pytest.raises(NotificationFailed, match="Late payment"):
        notifications.notify_operators("Late payment", "LatePayment: RES-1")
    assert json.loads(log.getvalue())["events"] == "operator notification"
