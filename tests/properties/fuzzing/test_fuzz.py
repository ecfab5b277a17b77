"""Malformed requests to every route and altered events to the webhook; `FUZZ_EXAMPLES=5000` sends many."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from local.fake_stripe.webhook_delivery import sign
from tests.harness.booking_reader import Json
from tests.harness.documented_answers import as_published
from tests.properties.fuzzing import malformed_requests as requests
from tests.properties.fuzzing.conftest import Target
from tests.properties.fuzzing.malformed_requests import Answer, Request

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "450"))
FUZZ = settings(
    max_examples=EXAMPLES // 3,
    deadline=timedelta(seconds=20),
    database=None,
    # Many examples come from a new seed each time, the default ones always from the same.
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
BODIES: dict[str, Json] = {
    "checkout-session": {
        "reservation_id": "RES-000000000000",
        "success_url": "https://localhost/success",
        "cancel_url": "https://localhost/cancel",
    },
    "refund": {"amount": 1_000, "reason": "rain", "kind": "cancellation"},
    "resolution": {"answer": "retry", "note": "called"},
}


@pytest.fixture(autouse=True)
def no_unhandled_errors(target: Target) -> Iterator[None]:
    target.new_unhandled_errors()
    yield
    assert target.new_unhandled_errors() == []


@pytest.fixture
def nothing_changes(target: Target) -> Iterator[None]:
    before = target.state()
    yield
    assert target.state() == before


@pytest.fixture
def no_money_moves(target: Target) -> Iterator[None]:
    before = target.money()
    yield
    assert target.money() == before


def body_of(path: str, reservation_id: str) -> Json:
    body = dict(BODIES.get(path.rpartition("/")[2], {}))
    if "reservation_id" in body:
        body["reservation_id"] = reservation_id
    return body


def check_documented(target: Target, answer: Answer) -> None:
    """Compare the answer with the OpenAPI document, unless it is the server's own to a request that is not HTTP."""
    if answer.status == 400 and answer.headers.get("content-type", "").startswith("text/plain"):
        return
    path = answer.request.path.partition("?")[0].removeprefix(target.base_path)
    as_published(answer.request.method, path, answer.status, answer.json())
    assert "x-correlation-id" in answer.headers, (answer, answer.request)


@pytest.mark.usefixtures("nothing_changes")
@given(data=st.data())
@FUZZ
def test_requests_of_strangers_are_refused_and_change_nothing(target: Target, data: st.DataObject) -> None:
    """Another guest's token, an access token, a forged token or none, whatever the request."""
    method, template = data.draw(st.sampled_from(target.routes()))
    ids = [*target.live, *target.over]
    body = body_of(template, data.draw(st.sampled_from(ids)))
    good = target.paid.token
    authorization = data.draw(
        st.one_of(
            st.just(f"Bearer {target.stack.stranger}"),
            st.just(f"Bearer {target.access_token}"),
            requests.authorizations([good, target.stack.operator]),
        )
    )
    answer = requests.send(
        target.stack.url,
        Request(
            method,
            data.draw(requests.paths(template, ids)),
            data.draw(requests.headers(authorization)),
            data.draw(
                st.one_of(st.just(requests.encoded(body)), requests.altered(body).map(requests.encoded), requests.RAW)
            ),
        ),
    )
    event(str(answer.status))
    check_documented(target, answer)
    assert answer.status in {400, 401, 403, 404, 413, 415}, (answer, answer.request)


@pytest.mark.usefixtures("nothing_changes")
@given(data=st.data())
@FUZZ
def test_malformed_requests_of_guests_and_operators_are_refused(target: Target, data: st.DataObject) -> None:
    """Bookings that are over are sent anything; live ones only what no route accepts."""
    method, template = data.draw(st.sampled_from(target.routes()))
    driver = data.draw(st.sampled_from([target.paid, target.released, target.refunded, target.waiting]))
    over = driver in {target.released, target.refunded}
    token = data.draw(st.sampled_from([driver.token, target.stack.operator]))
    reservation_id = driver.id
    # An operator may act on every booking, so a valid request must never name a live one.
    ids = target.over if over else [reservation_id]
    body = body_of(template, reservation_id)
    path = data.draw(requests.paths(template, ids))
    content = data.draw(requests.refused_bodies(body))
    if over:
        content = data.draw(
            st.one_of(
                st.just(content),
                requests.altered(body).map(requests.encoded).filter(lambda sent: not names(sent, target.live)),
                requests.RAW,
            )
        )
    answer = requests.send(
        target.stack.url, Request(method, path, data.draw(requests.headers(f"Bearer {token}")), content)
    )
    event(f"{answer.status} {'over' if over else 'live'}")
    check_documented(target, answer)
    assert answer.status < 500, (answer, answer.request)
    if not over and method == "POST":
        assert 400 <= answer.status < 500, (answer, answer.request)


def names(sent: bytes, ids: list[str]) -> bool:
    return any(one.encode() in sent for one in ids)


# The fields of an event's object that the webhook reads.
READ = {
    "amount",
    "failure_reason",
    "id",
    "last_payment_error",
    "latest_charge",
    "metadata",
    "object",
    "payment_intent",
    "payment_status",
    "reason",
    "status",
}


def without(obj: Json, names: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in names}


def events(target: Target) -> list[Json]:
    """One event of each type that Stripe has sent."""
    with target.stack.stripe.lock:
        sent = target.stack.stripe.all("event")
    return list({one["type"]: one for one in sent if not names(json.dumps(one).encode(), [target.waiting.id])}.values())


@pytest.mark.usefixtures("no_money_moves")
@given(data=st.data())
@FUZZ
def test_altered_events_move_no_money(target: Target, data: st.DataObject) -> None:
    """An event with a wrong signature is refused; a signed one is read as far as it makes sense."""
    original: Json = json.loads(json.dumps(data.draw(st.sampled_from(events(target)))))
    original["id"] = f"evt_{data.draw(st.integers(0, 10**9))}"
    obj = original["data"]["object"]
    read = {name: value for name, value in obj.items() if name in READ}
    of_object = requests.altered(read).map(lambda fields: original | {"data": {"object": without(obj, read) | fields}})
    content = data.draw(
        st.one_of(of_object.map(requests.encoded), requests.altered(original).map(requests.encoded), requests.RAW)
    )
    signed = data.draw(st.booleans())
    if signed:
        signature = sign(content, target.stack.stripe.webhook_secrets[0])
    else:
        other_secret = sign(content, "whsec_other", timestamp=data.draw(st.sampled_from([None, 0, -1, 2**40])))
        signature = data.draw(st.one_of(requests.HEADER_TEXT.map(str.strip), st.just(other_secret)))
    headers = {**data.draw(requests.headers(None)), "Stripe-Signature": signature}
    answer = requests.send(target.stack.url, Request("POST", f"{target.base_path}/webhooks/stripe", headers, content))
    event(f"{answer.status} {'signed' if signed else 'not signed'}")
    check_documented(target, answer)
    if signed:
        # 503 asks Stripe to send the event again, since its booking may be stored a moment later.
        assert answer.status in {200, 400, 503}, (answer, answer.request)
    else:
        assert answer.status in {400, 413}, (answer, answer.request)


INVALID: tuple[Any, ...] = (None, ["x"], "a.b", "\x00", 3, "pi_" + "x" * 300)


@pytest.mark.usefixtures("no_money_moves")
def test_no_missing_or_invalid_field_of_a_signed_event_breaks_the_webhook(target: Target) -> None:
    for original in events(target):
        obj: Json = original["data"]["object"]
        for name in READ & obj.keys():
            others = [{**obj, name: bad} for bad in INVALID] + [without(obj, {name: None})]
            for number, other in enumerate(others):
                changed = {**original, "id": f"evt_{name}_{number}_{original['id'][4:]}", "data": {"object": other}}
                content = requests.encoded(changed)
                headers = {"Stripe-Signature": sign(content, target.stack.stripe.webhook_secrets[0])}
                answer = requests.send(
                    target.stack.url, Request("POST", f"{target.base_path}/webhooks/stripe", headers, content)
                )
                check_documented(target, answer)
                assert answer.status in {200, 400, 503}, (original["type"], name, other.get(name))
