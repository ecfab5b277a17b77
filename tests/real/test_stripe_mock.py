"""The adapter's requests are valid to stripe-mock, Stripe's own test server, and the fake is as strict as that.

stripe-mock checks a request against Stripe's OpenAPI description and answers with a fixture; it has no state.
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
from shared.adapters import stripe_api, stripe_balance
from shared.adapters.checkout_parameters import checkout_parameters
from shared.domain.refund_policy import RefundTier
from shared.services.stripe_events import HANDLED
from shared.settings import settings
from tests.harness.builders import HOUR, MINUTE, NOW, reservation
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import API_KEY, ENVIRONMENT
from tests.harness.stripe_in_process import InProcess, new_fake_stripe

pytestmark = pytest.mark.stripe_mock

# A parameter that has another name in 2026-08-26.dahlia, the API version that stripe-mock describes, than in ours.
OUR_NAME, MOCK_NAME = "allowed_payment_method_types", "payment_method_types"


@dataclass(frozen=True)
class SentRequest:
    """A request as it was sent; `pairs` are its parameters, in the query or in the body."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...]

    @property
    def query(self) -> str:
        return f"?{urlencode(self.pairs)}" if self.method == "GET" else ""

    @property
    def body(self) -> str:
        return "" if self.method == "GET" else urlencode(self.pairs)


class RecordingFake(InProcess):
    """The fake, and the requests that it received."""

    def __init__(self, fake_stripe: FakeStripe) -> None:
        super().__init__(fake_stripe)
        self.account = fake_stripe
        self.received: list[SentRequest] = []

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **_: Any) -> Any:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query or post_data or "", keep_blank_values=True)
        self.received.append(SentRequest(method.upper(), parts.path.removeprefix("/stripe"), tuple(pairs)))
        return super().request(method, url, headers, post_data)

    def refusal(self, request: SentRequest) -> dict[str, Any] | None:
        """The error with which the fake refuses the request, if it does."""
        url = f"http://stripe.test/stripe{request.path}{request.query}"
        answer, _, _ = super().request(request.method, url, {"Authorization": f"Bearer {API_KEY}"}, request.body)
        error: dict[str, Any] | None = json.loads(answer).get("error")
        return error


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingFake]:
    """The adapter, connected to the fake."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    fake_stripe = new_fake_stripe(Clock())
    fake = RecordingFake(fake_stripe)
    monkeypatch.setattr(stripe, "RequestsClient", lambda **_: fake)
    monkeypatch.setattr(stripe_api, "secret", lambda _: API_KEY)
    for cached in (settings, stripe_api._client, stripe_api._http_client):
        cached.cache_clear()
    yield fake
    for cached in (settings, stripe_api._client, stripe_api._http_client):
        cached.cache_clear()
    fake_stripe.close()


def as_mock_names_it(request: SentRequest) -> SentRequest:
    """The request with the parameter's name in the version that stripe-mock describes."""
    pairs = tuple((re.sub(rf"^{OUR_NAME}\b", MOCK_NAME, key), value) for key, value in request.pairs)
    return replace(request, pairs=pairs)


def ask_stripe_mock(address: str, request: SentRequest) -> requests.Response:
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    return requests.request(
        request.method, f"{address}{request.path}{request.query}", data=request.body, headers=headers, timeout=30
    )


def open_session(fake: RecordingFake, **changes: Any) -> str:
    booked = reservation(**changes)
    parameters = checkout_parameters(
        booked,
        payment_id=f"PAY-{booked.reservation_id}",
        attempt_key="1",
        expires_at=NOW + 35 * MINUTE,
        success_url="https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}&lang=ä",
        cancel_url="http://localhost:3000/booking/cancel?reservation_id=RES-1",
        policy=[RefundTier(days=14, percent=100)],
    )
    return stripe_api.create_checkout_session(parameters, idempotency_key=f"k{len(fake.received)}").id


def pay_session(fake: RecordingFake) -> str:
    session = open_session(fake)
    fake.account.pay(session)
    intent = stripe_api.retrieve_checkout_session(session).payment_intent
    assert intent is not None
    return intent.id


def refund(fake: RecordingFake, pi: str) -> str:
    metadata = {"refund_id": f"REF-{pi}", "payment_id": "PAY-RES-1", "reservation_id": "RES-1"}
    return stripe_api.create_refund(pi=pi, amount=100, metadata=metadata, idempotency_key=f"k{len(fake.received)}").id


def expire_twice(fake: RecordingFake) -> None:
    session = open_session(fake)
    stripe_api.expire_checkout_session(session)
    stripe_api.expire_checkout_session(session)


# Every call of the adapter, in each of its forms; the call is the last request that is sent.
CALLS: dict[str, tuple[str, Callable[[RecordingFake], object]]] = {
    "a session": ("checkout.sessions.create", open_session),
    "a session of a guest without an e-mail address": (
        "checkout.sessions.create",
        lambda fake: open_session(fake, customer_email=None),
    ),
    "a session with long and non-ASCII values": (
        "checkout.sessions.create",
        lambda fake: open_session(fake, reservation_id="R_" + "9" * 58, customer_email="renée@guests.example"),
    ),
    "a session of the minimum amount": ("checkout.sessions.create", lambda fake: open_session(fake, total_amount=50)),
    "a session of the maximum amount": (
        "checkout.sessions.create",
        lambda fake: open_session(fake, total_amount=99_999_999),
    ),
    "reading a session": (
        "checkout.sessions.retrieve",
        lambda fake: stripe_api.retrieve_checkout_session(open_session(fake)),
    ),
    "expiring a session": (
        "checkout.sessions.expire",
        lambda fake: stripe_api.expire_checkout_session(open_session(fake)),
    ),
    "reading a session that cannot be expired": ("checkout.sessions.retrieve", expire_twice),
    "reading a payment": (
        "payment_intents.retrieve",
        lambda fake: stripe_api.retrieve_payment_intent(pay_session(fake)),
    ),
    "the sessions of a payment": (
        "checkout.sessions.list",
        lambda fake: stripe_api.list_checkout_sessions(pay_session(fake)),
    ),
    "a refund": ("refunds.create", lambda fake: refund(fake, pay_session(fake))),
    "the refunds of a payment": ("refunds.list", lambda fake: stripe_api.list_refunds(pay_session(fake), "REF-1")),
    "the disputes of a payment": ("disputes.list", lambda fake: stripe_api.list_disputes(pay_session(fake))),
    "undelivered events": (
        "events.list",
        lambda _: stripe_api.undelivered_events(NOW - timedelta(hours=1), NOW, HANDLED),
    ),
    "the balance transactions of a day": (
        "balance_transactions.list",
        lambda fake: (pay_session(fake), stripe_balance.transactions_between(NOW - timedelta(hours=1), NOW + HOUR)),
    ),
    "what a payout contains": ("balance_transactions.list", lambda _: stripe_balance.transactions_paid_out("po_1")),
    "what a charge has moved": ("balance_transactions.list", lambda _: stripe_balance.transactions_of("ch_1")),
}
each_call = pytest.mark.parametrize("call", [call for _, call in CALLS.values()], ids=CALLS)


def test_every_call_of_the_adapter_is_listed() -> None:
    source = inspect.getsource(stripe_api) + inspect.getsource(stripe_balance)
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [node.args[0] for node in calls if ast.unparse(node.func) in {"call", "stripe_api.call"}]
    operations = {name.value for name in named if isinstance(name, ast.Constant)}
    assert operations == {operation for operation, _ in CALLS.values()}


@each_call
def test_the_fake_and_stripe_mock_accept_the_adapters_requests(
    stripe_mock: str, fake: RecordingFake, call: Callable[[RecordingFake], object]
) -> None:
    call(fake)  # raises what the fake refuses
    answer = ask_stripe_mock(stripe_mock, as_mock_names_it(fake.received[-1]))
    assert answer.ok, answer.text


def test_stripe_mock_does_not_describe_our_version_yet(stripe_mock: str, fake: RecordingFake) -> None:
    """Once it does, as_mock_names_it is no longer needed."""
    open_session(fake)
    assert not ask_stripe_mock(stripe_mock, fake.received[-1]).ok


READERS: dict[str, Callable[[Any], object]] = {
    "checkout.session": stripe_api.checkout_session,
    "payment_intent": stripe_api._payment_intent,
    "refund": lambda fields: stripe_api._refund(fields, "pi_1"),
    "dispute": lambda fields: stripe_api._dispute(fields, "pi_1"),
    "balance_transaction": stripe_balance._transaction,
}


@each_call
def test_the_adapter_can_read_stripe_mocks_answers(
    stripe_mock: str, fake: RecordingFake, call: Callable[[RecordingFake], object]
) -> None:
    call(fake)
    answer = ask_stripe_mock(stripe_mock, as_mock_names_it(fake.received[-1])).json()
    objects = answer["data"] if answer["object"] == "list" else [answer]
    assert objects
    for fields in objects:
        if fields["object"] == "event":
            assert fields.keys() >= {"id", "type", "created", "data"}
        else:
            READERS[fields["object"]](fields)


def invalid_variants(request: SentRequest) -> Iterator[tuple[str, str, SentRequest]]:
    """The kind of mistake, the parameter that has it, and the request with the mistake."""
    pairs = dict(request.pairs)
    objects = {key[: bracket.start()] for key in pairs for bracket in re.finditer(r"\[", key)}
    lists = {name for name in objects if f"{name}[0]" in pairs.keys() | objects}

    def variant(name: str, changed: dict[str, str]) -> SentRequest:
        rest = {key: value for key, value in pairs.items() if key != name and not key.startswith(f"{name}[")}
        return replace(request, pairs=tuple((rest | changed).items()))

    yield "unknown", "surprise", variant("", pairs | {"surprise": "1"})
    for name in sorted(objects - lists):
        if not name.endswith("metadata]") and name != "metadata":  # metadata may have any name
            yield "unknown", f"{name}[surprise]", variant("", pairs | {f"{name}[surprise]": "1"})
    for name in sorted(pairs.keys() | objects):
        if not re.search(r"\[\d+\]$", name):  # a list without one entry is just shorter
            yield "missing", name, variant(name, {})
        for wrong in ({name: "surprise"}, {name: "-1.5"}, {name: ""}, {f"{name}[surprise]": "1"}, {f"{name}[0]": "1"}):
            yield "wrong", name, variant(name, wrong)


@pytest.mark.parametrize(
    ("call", "refused_by_mock"),
    [
        ("a session", {"unknown": 1, "missing": 2, "wrong": 116}),
        ("reading a session", {"unknown": 1, "wrong": 6}),
        ("expiring a session", {"unknown": 1, "wrong": 6}),
        ("reading a payment", {"unknown": 1, "wrong": 6}),
        ("a refund", {"unknown": 1, "wrong": 22}),
        ("the refunds of a payment", {"unknown": 1, "wrong": 7}),
        ("undelivered events", {"unknown": 1, "wrong": 59}),
    ],
)
def test_the_fake_stripe_refuses_what_stripe_mock_refuses(
    stripe_mock: str, fake: RecordingFake, call: str, refused_by_mock: dict[str, int]
) -> None:
    """With every parameter missing, of a wrong type, or beside an unknown one; and the fake names that parameter."""
    send = CALLS[call][1]
    send(fake)
    refused: Counter[str] = Counter()
    for position, (kind, name, _) in enumerate(invalid_variants(fake.received[-1])):
        send(fake)  # again, since an accepted request has had its effect
        *_, request = list(invalid_variants(fake.received[-1]))[position]
        if ask_stripe_mock(stripe_mock, as_mock_names_it(request)).ok:
            continue
        refused[kind] += 1
        refusal = fake.refusal(request)
        assert refusal is not None, f"{kind} {name}: the fake accepts {request.pairs}"
        param = refusal["param"]
        assert param.startswith(name) or name.startswith(param), f"{kind} {name}: {refusal['message']}"
    assert refused == refused_by_mock
