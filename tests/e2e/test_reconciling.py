"""Executions that died, holds nobody paid, webhooks that never come: the reconciler over HTTP."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tests.e2e.conftest import VISA, Booking, Client, until


@pytest.fixture(scope="module")
def config() -> dict[str, str | int]:
    return {"checkoutWindowSeconds": 6, "holdSeconds": 14}


def waits_in(booking: Booking, name: str, state: str) -> bool:
    return any(
        execution["name"] == name and booking.client.local("GET", f"executions/{name}").get("waiting_in") == state
        for execution in booking.client.local("GET", "executions")
    )


def test_a_stopped_execution_has_a_replacement_in_which_the_same_session_is_paid(client: Client) -> None:
    booking = client.booking()
    session = booking.session()
    assert client.local("POST", f"executions/{booking.id}/stop") == {"status": "ABORTED"}
    replacement = f"{booking.id}-r1"
    until(lambda: waits_in(booking, replacement, "AwaitPayment"), lambda: "the replacement")
    assert booking.session_again()["checkout_url"] == session["checkout_url"]
    assert booking.pay(session, VISA) == 303
    until(lambda: booking.reservation["status"] == "confirmed", lambda: "a confirmed booking")
    shown = booking.execution
    assert shown["status"] == "ABORTED"
    assert shown["replacement"]["name"] == replacement
    assert shown["replacement"]["visited"][:2] == ["RecordPayment", "VerifyPayment"]
    (told,) = [
        notification["message"]
        for notification in client.local("GET", "notifications")
        if booking.id in notification["message"]
    ]
    assert told.startswith(f"ExecutionDied: {booking.id} of arn:aws:states:")
    assert "is ABORTED" in told
    assert told.endswith(f"details/arn:aws:states:eu-west-1:123456789012:execution:booking-local-payment:{booking.id}")


def test_a_hold_whose_guest_never_pressed_pay_now_is_released_by_the_reconciler(client: Client) -> None:
    booking = client.booking()
    boto3.client("dynamodb", region_name="eu-west-1").update_item(
        TableName=client.stack.outputs["reservationsTable"],
        Key={"reservation_id": {"S": booking.id}},
        UpdateExpression="SET created_at = :then",
        ExpressionAttributeValues={":then": {"S": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}},
    )
    assert client.local("POST", "reconcile")["hold_without_payment"] == 1
    until(lambda: booking.reservation["status"] == "expired", lambda: "the release")
    assert booking.dates == {"available"}
    assert client.local("POST", "reconcile").get("hold_without_payment", 0) == 0


def test_with_webhooks_dropped_for_good_a_paid_booking_is_confirmed_all_the_same(client: Client) -> None:
    client.local("POST", "stripe/webhooks", mode="drop")
    booking = client.booking()
    assert booking.pay(booking.session()) == 303
    until(lambda: booking.reservation["status"] == "confirmed", lambda: "a confirmed booking")
