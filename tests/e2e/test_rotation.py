"""The signing secret and the API key are rolled while guests pay: nothing restarts, and no event is lost."""

from collections.abc import Callable

import boto3
import pytest

from infra.stripe_keys import store_keys
from local import credentials
from local.aws import emulator
from scripts.stripe_endpoint import set_up
from tests.e2e.conftest import StackOverHttp, age_stored_secrets
from tests.harness.booking_driver import BookingDriver
from tests.harness.waiting import wait_until

EVENTS = 100


@pytest.fixture(autouse=True)
def warm_functions(stack: StackOverHttp) -> None:
    """Functions that have read both secrets some time ago."""
    booking = stack.reserve()
    booking.pay_now()
    pay(booking)
    age_stored_secrets()


def pay(booking: BookingDriver) -> None:
    assert booking.pay_on_page() == 303
    wait_until(lambda: booking.reservation_status == "confirmed", lambda: f"confirmation: {booking.execution()}")


def roll_by_overlap(stack: StackOverHttp) -> dict[int, Callable[[], None]]:
    """The steps of docs/operations.md, each with the number of events before it."""
    old, new = credentials.WEBHOOK_SECRET, "whsec_rolled"

    def sign_with(*secrets: str) -> None:
        stack.stripe.webhook_secrets = list(secrets)

    def store_new_only() -> None:
        assert stack.stripe.webhooks.wait_until_idle(60)  # the overlap is over once every older event has arrived
        store_keys(stack.outputs, webhook_secret=new)

    return {
        20: lambda: sign_with(new, old),
        40: lambda: store_keys(stack.outputs, webhook_secret=f"{new},{old}"),
        60: lambda: sign_with(new),
        80: store_new_only,
    }


def roll_by_command(stack: StackOverHttp) -> dict[int, Callable[[], None]]:
    """`make stripe-webhook REPLACE=1`; the reconciler finds what the old endpoint has not delivered."""

    def replace() -> None:
        outputs = {**stack.outputs, "webhookUrl": f"{stack.url}/api/webhooks/stripe"}
        set_up(outputs, replace=True, api_base=f"{stack.url}/stripe")

    def reconcile() -> None:
        assert stack.stripe.webhooks.wait_until_idle(60)
        stack.admin.reconcile()

    return {50: replace, EVENTS: reconcile}


@pytest.mark.defect("D-27")
@pytest.mark.parametrize("roll", [roll_by_overlap, roll_by_command])
def test_none_of_100_events_is_lost_while_the_signing_secret_is_rolled(
    stack: StackOverHttp, roll: Callable[[StackOverHttp], dict[int, Callable[[], None]]]
) -> None:
    booking = stack.reserve()
    booking.pay_now()
    stack.stripe.pay(booking.session, "4000000000000002")
    intent = dict(stack.stripe.get("payment_intent", booking.session_intent))
    steps = roll(stack)
    charges = {f"ch_{number}" for number in range(EVENTS)}
    for number in range(EVENTS + 1):
        if number in steps:
            steps[number]()
        if number < EVENTS:
            with stack.stripe.current():
                stack.stripe.emit("payment_intent.payment_failed", intent | {"latest_charge": f"ch_{number}"})

    def recorded() -> set[str]:
        return set(booking.payment["attempts"]["1"]["declines"])

    wait_until(lambda: charges <= recorded(), lambda: f"the declines {charges - recorded()}")


@pytest.mark.defect("D-27")
def test_the_api_key_is_rolled_without_a_restart(stack: StackOverHttp) -> None:
    """A guest is on the pay page when the old key expires; the next guest and a refund meet only the new key."""
    old, new = credentials.STRIPE_API_KEY, "sk_test_rolled"
    during, after = stack.reserve(), stack.reserve()
    during.pay_now()
    stack.stripe.api_keys = {old, new}
    store_keys(stack.outputs, secret_key=new)
    pay(during)
    after.pay_now()
    stack.stripe.api_keys = {new}
    pay(after)
    refunded = stack.reserve()
    refunded.pay_now()
    pay(refunded)
    answer = refunded.call("POST", f"{refunded.id}/refund", token=stack.operator)
    assert answer.status in {200, 202}, answer
    assert [request for request in stack.stripe.requests if request.status == 401]


@pytest.mark.defect("R-14")
def test_a_key_stored_with_a_line_end_works_and_stays_out_of_the_log(stack: StackOverHttp) -> None:
    """`put-parameter --value file://key.txt` stores the line end too."""
    key = next(iter(stack.stripe.api_keys))
    boto3.client("ssm", region_name=emulator.REGION).put_parameter(
        Name=stack.outputs["secretKeyParameter"], Value=f"{key}\n", Type="SecureString", Overwrite=True
    )
    age_stored_secrets()
    booking = stack.reserve()
    assert booking.pay_now().status == 201
    stack.admin.reconcile()
    assert stack.local.find_leaks() == []
