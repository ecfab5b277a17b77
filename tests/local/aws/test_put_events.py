"""Events put on a bus."""

import boto3

from local.aws import emulator


def test_events_put_on_a_bus_can_be_read(aws: None) -> None:
    events = boto3.client("events")
    events.create_event_bus(Name="booking")
    events.put_events(
        Entries=[
            {"EventBusName": "booking", "Source": "booking.payments", "DetailType": "PaymentConfirmed", "Detail": "{}"}
        ]
    )
    assert [(event.bus, event.detail_type) for event in emulator.published] == [("booking", "PaymentConfirmed")]
