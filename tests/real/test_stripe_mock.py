"""What the adapter asks Stripe, asked of Stripe's own test server too; and the fake is as strict as that.

stripe-mock checks a request against Stripe's OpenAPI description and answers with a fixture: it keeps no state.
"""

import ast
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
import stripe

from local.fake_stripe.fake_stripe import FakeStripe
from shared.adapters import stripe_api
from shared.services.stripe_events import HANDLED
from shared.settings import settings
from tests.harness.builders import MINUTE, NOW, reservation
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import API_KEY, ENVIRONMENT
from tests.harness.stripe_in_process import InProcess, new_fake_stripe

pytestmark = pytest.mark.stripe_mock

# What the API version that we pin has and the one that stripe-mock describes, 2026-08-26.dahlia, calls otherwise.
NOW_CALLED, THEN_CALLED = "allowed_payment_method_types", "payment_method_types"


@dataclass(frozen=True)
class Asked:
    """One request as it went out; `pairs` are its parameters, in the query or in the body."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...]

    @property
    def query(self) -> str:
        return f"?{urlencode(self.pairs)}" if self.method == "GET" else ""

    @property
    def body(self) -> str:
        return "" if self.method == "GET" else urlencode(self.pairs)


class Wire(InProcess):
    """The fake, and what it was asked."""

    def __init__(self, fake_stripe: FakeStripe) -> None:
        super().__init__(fake_stripe)
        self.account = fake_stripe
        self.asked: list[Asked] = []

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **_: Any) -> Any:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query or post_data or "", keep_blank_values=True)
        self.asked.append(Asked(method.upper(), parts.path.removeprefix("/stripe"), tuple(pairs)))
        return super().request(method, url, headers, post_data)

    def refusal(self, asked: Asked) -> dict[str, Any] | None:
        """Why the fake refuses it, if it does."""
        url = f"http://stripe.test/stripe{asked.path}{asked.query}"
        answer, _, _ = super().request(asked.method, url, {"Authorization": f"Bearer {API_KEY}"}, asked.body)
        error: dict[str, Any] | None = json.loads(answer).get("error")
        return error


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The adapter at the fake."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    fake_stripe = new_fake_stripe(Clock())
    wire = Wire(fake_stripe)
    monkeypatch.setattr(stripe, "RequestsClient", lambda **_: wire)
    monkeypatch.setattr(stripe_api, "secret", lambda _: API_KEY)
    for cached in (settings, stripe_api._client):
        cached.cache_clear()
    yield wire
    for cached in (settings, stripe_api._client):
        cached.cache_clear()
    fake_stripe.close()


def in_its_version(asked: Asked) -> Asked:
    pairs = tuple((re.sub(rf"^{NOW_CALLED}\b", THEN_CALLED, key), value) for key, value in asked.pairs)
    return replace(asked, pairs=pairs)


def mock(address: str, asked: Asked) -> requests.Response:
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    return requests.request(
        asked.method, f"{address}{asked.path}{asked.query}", data=asked.body, headers=headers, timeout=30
    )


def opened(wire: Wire, **changes: Any) -> str:
    of = reservation(**changes)
    parameters = stripe_api.checkout_parameters(
        of,
        payment_id=f"PAY-{of.reservation_id}",
        attempt_key="1",
        expires_at=NOW + 35 * MINUTE,
        success_url="https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}&lang=ä",
        cancel_url="http://localhost:3000/booking/cancel?reservation_id=RES-1",
    )
    return stripe_api.create_checkout_session(parameters, idempotency_key=f"k{len(wire.asked)}").id


def paid(wire: Wire) -> str:
    session = opened(wire)
    wire.account.pay(session)
    intent = stripe_api.retrieve_checkout_session(session).payment_intent
    assert intent is not None
    return intent.id


def refund(wire: Wire, pi: str) -> str:
    metadata = {"refund_id": f"REF-{pi}", "payment_id": "PAY-RES-1", "reservation_id": "RES-1"}
    return stripe_api.create_refund(pi=pi, amount=100, metadata=metadata, idempotency_key=f"k{len(wire.asked)}").id


def expire_twice(wire: Wire) -> None:
    session = opened(wire)
    stripe_api.expire_checkout_session(session)
    stripe_api.expire_checkout_session(session)


# Every call that the adapter has, in each form that it can take; the call is the last request of each.
CALLS: dict[str, tuple[str, Callable[[Wire], object]]] = {
    "a session": ("checkout.sessions.create", opened),
    "a session of a guest without address": (
        "checkout.sessions.create",
        lambda wire: opened(wire, customer_email=None),
    ),
    "a session of long and foreign names": (
        "checkout.sessions.create",
        lambda wire: opened(wire, reservation_id="R_" + "9" * 58, customer_email="renée@guests.example"),
    ),
    "a session of the least amount": ("checkout.sessions.create", lambda wire: opened(wire, total_amount=50)),
    "a session of the greatest amount": (
        "checkout.sessions.create",
        lambda wire: opened(wire, total_amount=99_999_999),
    ),
    "reading a session": (
        "checkout.sessions.retrieve",
        lambda wire: stripe_api.retrieve_checkout_session(opened(wire)),
    ),
    "expiring a session": ("checkout.sessions.expire", lambda wire: stripe_api.expire_checkout_session(opened(wire))),
    "reading a session that cannot be expired": ("checkout.sessions.retrieve", expire_twice),
    "reading a payment": ("payment_intents.retrieve", lambda wire: stripe_api.retrieve_payment_intent(paid(wire))),
    "a refund": ("refunds.create", lambda wire: refund(wire, paid(wire))),
    "the refunds of a payment": ("refunds.list", lambda wire: stripe_api.list_refunds(paid(wire), "REF-1")),
    "undelivered events": ("events.list", lambda _: stripe_api.undelivered_events(NOW - timedelta(hours=1), HANDLED)),
}
each_call = pytest.mark.parametrize("call", [call for _, call in CALLS.values()], ids=CALLS)


def test_these_are_all_calls_of_the_adapter() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(stripe_api))) if isinstance(node, ast.Call)]
    named = [node.args[0] for node in calls if isinstance(node.func, ast.Name) and node.func.id == "_call"]
    assert {ast.literal_eval(name) for name in named} == {operation for operation, _ in CALLS.values()}


@each_call
def test_both_accept_what_the_adapter_asks(stripe_mock: str, wire: Wire, call: Callable[[Wire], object]) -> None:
    call(wire)  # raises what the fake refuses
    answer = mock(stripe_mock, in_its_version(wire.asked[-1]))
    assert answer.ok, answer.text


def test_stripe_mock_does_not_describe_our_version_yet(stripe_mock: str, wire: Wire) -> None:
    """Once it does, the name is not put back any more."""
    opened(wire)
    assert not mock(stripe_mock, wire.asked[-1]).ok


READERS: dict[str, Callable[[Any], object]] = {
    "checkout.session": stripe_api._session,
    "payment_intent": stripe_api._payment_intent,
    "refund": stripe_api._refund,
}


@each_call
def test_the_adapter_reads_the_answers_of_stripes_description(
    stripe_mock: str, wire: Wire, call: Callable[[Wire], object]
) -> None:
    call(wire)
    answer = mock(stripe_mock, in_its_version(wire.asked[-1])).json()
    objects = answer["data"] if answer["object"] == "list" else [answer]
    assert objects
    for fields in objects:
        if fields["object"] == "event":
            assert fields.keys() >= {"id", "type", "created", "data"}
        else:
            READERS[fields["object"]](fields)


def bent(asked: Asked) -> Iterator[tuple[str, str, Asked]]:
    """Kind of the mistake, the parameter that it is made in, and the request with it."""
    pairs = dict(asked.pairs)
    objects = {key[: bracket.start()] for key in pairs for bracket in re.finditer(r"\[", key)}
    lists = {name for name in objects if f"{name}[0]" in pairs.keys() | objects}

    def made(name: str, changed: dict[str, str]) -> Asked:
        rest = {key: value for key, value in pairs.items() if key != name and not key.startswith(f"{name}[")}
        return replace(asked, pairs=tuple((rest | changed).items()))

    yield "unknown", "surprise", made("", pairs | {"surprise": "1"})
    for name in sorted(objects - lists):
        if not name.endswith("metadata]") and name != "metadata":  # there every name is ours
            yield "unknown", f"{name}[surprise]", made("", pairs | {f"{name}[surprise]": "1"})
    for name in sorted(pairs.keys() | objects):
        if not re.search(r"\[\d+\]$", name):  # an entry that is left out makes a shorter list, not a gap
            yield "missing", name, made(name, {})
        for wrong in ({name: "surprise"}, {name: "-1.5"}, {name: ""}, {f"{name}[surprise]": "1"}, {f"{name}[0]": "1"}):
            yield "wrong", name, made(name, wrong)


@pytest.mark.parametrize(
    ("call", "refused_there"),
    [
        ("a session", {"unknown": 1, "missing": 2, "wrong": 101}),
        ("reading a session", {"unknown": 1, "wrong": 6}),
        ("expiring a session", {"unknown": 1, "wrong": 6}),
        ("reading a payment", {"unknown": 1, "wrong": 6}),
        ("a refund", {"unknown": 1, "wrong": 20}),
        ("the refunds of a payment", {"unknown": 1, "wrong": 7}),
        ("undelivered events", {"unknown": 1, "wrong": 52}),
    ],
)
def test_the_fake_stripe_refuses_what_stripe_mock_refuses(
    stripe_mock: str, wire: Wire, call: str, refused_there: dict[str, int]
) -> None:
    """Every parameter left out, of another type, and with an unknown one beside it; and it names that parameter."""
    ask = CALLS[call][1]
    ask(wire)
    refused: Counter[str] = Counter()
    for position, (kind, name, _) in enumerate(bent(wire.asked[-1])):
        ask(wire)  # again, since what was accepted has had its effect
        *_, request = list(bent(wire.asked[-1]))[position]
        if mock(stripe_mock, in_its_version(request)).ok:
            continue
        refused[kind] += 1
        refusal = wire.refusal(request)
        assert refusal is not None, f"{kind} {name}: the fake accepts {request.pairs}"
        param = refusal["param"]
        assert param.startswith(name) or name.startswith(param), f"{kind} {name}: {refusal['message']}"
    assert refused == refused_there
