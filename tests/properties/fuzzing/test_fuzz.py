"""Spoilt requests to every route and spoilt events to the webhook. `FUZZ_EXAMPLES=5000` for many."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from local.fake_stripe.webhook_delivery import sign
from tests.harness.documented_answers import as_published
from tests.properties.fuzzing import malformed_requests as requests
from tests.properties.fuzzing.conftest import Target
from tests.properties.fuzzing.malformed_requests import Answer, Request
from tests.properties.simulation.world import Json

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "450"))
FUZZ = settings(
    max_examples=EXAMPLES // 3,
    deadline=timedelta(seconds=20),
    database=None,
    # A new seed each time where many are asked for; the same few otherwise.
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
def nothing_unhandled(target: Target) -> Iterator[None]:
    """No exception got through."""
    target.unhandled()
    yield
    assert target.unhandled() == []


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


def published(target: Target, answer: Answer) -> None:
    """It is one that the document has for the route, if it is not the server's own, of what is not HTTP."""
    if answer.status == 400 and answer.headers.get("content-type", "").startswith("text/plain"):
        return
    path = answer.request.path.partition("?")[0].removeprefix(f"/{target.stage}")
    as_published(answer.request.method, path, answer.status, answer.json())
    assert "x-correlation-id" in answer.headers, (answer, answer.request)


@pytest.mark.usefixtures("nothing_changes")
@given(data=st.data())
@FUZZ
def test_nobody_can_do_anything_with_any_request(target: Target, data: st.DataObject) -> None:
    """Strangers and forged tokens: 401, 403, 404 or 400, whatever they send to whichever booking."""
    method, template = data.draw(st.sampled_from(target.routes()))
    ids = [*target.live, *target.over]
    body = body_of(template, data.draw(st.sampled_from(ids)))
    good = target.paid.played.token
    authorization = data.draw(
        st.one_of(
            st.just(f"Bearer {target.stranger}"),
            st.just(f"Bearer {target.access}"),
            requests.authorizations([good, target.operator]),
        )
    )
    answer = requests.send(
        target.url,
        Request(
            method,
            data.draw(requests.paths(template, ids)),
            data.draw(requests.headers(authorization)),
            data.draw(
                st.one_of(st.just(requests.encoded(body)), requests.spoilt(body).map(requests.encoded), requests.RAW)
            ),
        ),
    )
    event(str(answer.status))
    published(target, answer)
    assert answer.status in {400, 401, 403, 404, 413, 415}, (answer, answer.request)


@pytest.mark.usefixtures("nothing_changes")
@given(data=st.data())
@FUZZ
def test_owners_and_operators_are_refused_what_is_malformed(target: Target, data: st.DataObject) -> None:
    """Of a booking that lives only what no route takes is sent; of one that is over anything."""
    method, template = data.draw(st.sampled_from(target.routes()))
    actor = data.draw(st.sampled_from([target.paid, target.released, target.refunded, target.waiting]))
    over = actor in {target.released, target.refunded}
    token = data.draw(st.sampled_from([actor.played.token, target.operator]))
    about = actor.played.id
    # An operator may act on any booking: ids are those of bookings that are over, or nearly so.
    ids = target.over if over else [about]
    body = body_of(template, about)
    path = data.draw(requests.paths(template, ids))
    content = data.draw(requests.refused_bodies(body))
    if over:
        content = data.draw(
            st.one_of(
                st.just(content),
                requests.spoilt(body).map(requests.encoded).filter(lambda sent: not names(sent, target.live)),
                requests.RAW,
            )
        )
    answer = requests.send(target.url, Request(method, path, data.draw(requests.headers(f"Bearer {token}")), content))
    event(f"{answer.status} {'over' if over else 'live'}")
    published(target, answer)
    assert answer.status < 500, (answer, answer.request)
    if not over and method == "POST":
        assert 400 <= answer.status < 500, (answer, answer.request)


def names(sent: bytes, ids: list[str]) -> bool:
    return any(one.encode() in sent for one in ids)


# What is read of an event's object.
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
    """One of each type that Stripe has sent."""
    with target.world.stripe.lock:
        sent = target.world.stripe.all("event")
    return list(
        {one["type"]: one for one in sent if not names(json.dumps(one).encode(), [target.waiting.played.id])}.values()
    )


@pytest.mark.usefixtures("no_money_moves")
@given(data=st.data())
@FUZZ
def test_spoilt_events_do_no_harm(target: Target, data: st.DataObject) -> None:
    """Unsigned or wrongly signed: 400. Signed, and not as Stripe writes them: read as far as they make sense."""
    original: Json = json.loads(json.dumps(data.draw(st.sampled_from(events(target)))))
    original["id"] = f"evt_{data.draw(st.integers(0, 10**9))}"
    obj = original["data"]["object"]
    read = {name: value for name, value in obj.items() if name in READ}
    of_object = requests.spoilt(read).map(lambda spoilt: original | {"data": {"object": without(obj, read) | spoilt}})
    content = data.draw(
        st.one_of(of_object.map(requests.encoded), requests.spoilt(original).map(requests.encoded), requests.RAW)
    )
    signed = data.draw(st.booleans())
    if signed:
        signature = sign(content, target.world.stripe.webhook_secrets[0])
    else:
        right = sign(content, "whsec_other", timestamp=data.draw(st.sampled_from([None, 0, -1, 2**40])))
        signature = data.draw(st.one_of(requests.HEADER_TEXT.map(str.strip), st.just(right)))
    headers = {**data.draw(requests.headers(None)), "Stripe-Signature": signature}
    answer = requests.send(target.url, Request("POST", f"/{target.stage}/webhooks/stripe", headers, content))
    event(f"{answer.status} {'signed' if signed else 'not signed'}")
    published(target, answer)
    if signed:
        # 503: an event that may be ours a moment later, which Stripe shall send again.
        assert answer.status in {200, 400, 503}, (answer, answer.request)
    else:
        assert answer.status in {400, 413}, (answer, answer.request)


BAD: tuple[Any, ...] = (None, ["x"], "a.b", "\x00", 3, "pi_" + "x" * 300)


@pytest.mark.usefixtures("no_money_moves")
def test_no_field_of_a_signed_event_can_break_the_webhook(target: Target) -> None:
    """Each field that is read, of each type of event: missing, or of another kind."""
    for original in events(target):
        obj: Json = original["data"]["object"]
        for name in READ & obj.keys():
            others = [{**obj, name: bad} for bad in BAD] + [without(obj, {name: None})]
            for number, other in enumerate(others):
                spoilt = {**original, "id": f"evt_{name}_{number}_{original['id'][4:]}", "data": {"object": other}}
                content = requests.encoded(spoilt)
                headers = {"Stripe-Signature": sign(content, target.world.stripe.webhook_secrets[0])}
                answer = requests.send(
                    target.url, Request("POST", f"/{target.stage}/webhooks/stripe", headers, content)
                )
                published(target, answer)
                assert answer.status in {200, 400, 503}, (original["type"], name, other.get(name))
