"""lambdas.stripe_webhook.handler on signed bytes: what it answers, what it changes, what it records and when."""

import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from hmac import new as hmac
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas import stripe_webhook
from shared.adapters import notifications, payment_items, secrets, step_functions, webhook_events
from shared.adapters.dynamodb import to_item
from shared.contracts.states import RefundInput
from shared.domain.errors import SecretUnavailable, StoreBusy, WorkflowUnavailable
from shared.services import dispute_events, money_events
from tests.harness.builders import NOW, TOTAL, attempt, capture, closed, opening, paying, payment, refund
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import CONTEXT, WEBHOOK_SECRET, request_id
from tests.harness.stored_tables import Stored

EVENTS = Path(__file__).parents[2] / "harness" / "stripe_events"
COMPLETED = "checkout.session.completed"
SUCCEEDED = "payment_intent.succeeded"
FAILED = "payment_intent.payment_failed"
EXPIRED = "checkout.session.expired"


def event(kind: str, /, *, event_id: str = "evt_1", of: dict[str, Any] | None = None) -> dict[str, Any]:
    """A full envelope as Stripe sends it (tests/events), `of` replacing fields of its object."""
    envelope: dict[str, Any] = json.loads((EVENTS / f"{kind}.json").read_text(encoding="utf-8"))
    envelope["id"] = event_id
    envelope["data"]["object"] |= of or {}
    return envelope


def made_there(kind: str, /, **of: Any) -> dict[str, Any]:
    """An event about a refund or a dispute that was made at Stripe without us: it has no metadata of ours."""
    made = {"id": "re_1", "amount": 500, "payment_intent": "pi_1", "metadata": {}}
    return {"id": "evt_1", "type": kind, "created": int(NOW.timestamp()), "data": {"object": made | of}}


def signature(body: bytes, *secrets: str, stamp: float | None = None) -> str:
    moment = int(NOW.timestamp() if stamp is None else stamp)
    signed = f"{moment}.".encode() + body
    values = [hmac(secret.encode(), signed, sha256).hexdigest() for secret in secrets or (WEBHOOK_SECRET,)]
    return ",".join([f"t={moment}", *(f"v1={value}" for value in values)])


def post(body: bytes, header: str | None, *, name: str = "Stripe-Signature", encoded: bool = False) -> tuple[int, Any]:
    """Status and parsed body of the answer, which always has the one shape and a correlation id."""
    given = request_id()
    answer = stripe_webhook.handler(
        {
            "requestContext": {"requestId": given},
            "headers": {"Content-Type": "application/json"} | ({} if header is None else {name: header}),
            "body": base64.b64encode(body).decode() if encoded else body.decode(errors="surrogateescape"),
            "isBase64Encoded": encoded,
        },
        CONTEXT,
    )
    assert answer["headers"] == {"Content-Type": "application/json", "x-correlation-id": given}
    return answer["statusCode"], json.loads(answer["body"])


def deliver(of: dict[str, Any]) -> tuple[int, Any]:
    body = json.dumps(of, indent=2).encode()
    return post(body, signature(body))


class Workflow:
    """In Step Functions' place: which tokens wait, what they were told, and what comes of it.

    In SNS's too: what operators were told, after so many refusals.
    """

    def __init__(self) -> None:
        self.waiting = {"token"}
        self.signalled: list[tuple[str, str]] = []
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[Exception] = []
        self.lock = threading.Lock()
        self.refreshes: Any = lambda: None
        self.notified: list[str] = []
        self.refusals = 0

    def signal(self, token: str, what: str) -> bool:
        with self.lock:
            if self.failures:
                raise self.failures.pop(0)
            if token not in self.waiting:
                return False
            self.waiting.remove(token)
            self.signalled.append((token, what))
            self.refreshes()
            return True

    def start_refund(self, name: str, given: RefundInput) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        self.started.append((name, json.loads(given.to_json())))
        return True

    def publish(self, Message: str, **_: str) -> None:  # noqa: N803
        if self.refusals:
            self.refusals -= 1
            raise ClientError({"Error": {"Code": "Throttled"}}, "Publish")
        self.notified.append(Message.partition(":")[0])


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(money_events, "PATIENCE", 0.06)
    monkeypatch.setattr(money_events, "PAUSE", 0.01)


@pytest.fixture
def flow(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """A payment whose first session is open and awaited."""
    flow = Workflow()
    monkeypatch.setattr(step_functions, "signal", flow.signal)
    monkeypatch.setattr(step_functions, "start_refund", flow.start_refund)
    monkeypatch.setattr(notifications, "_sns", lambda: flow)
    monkeypatch.setattr(dispute_events, "publish", lambda *_: None)
    # What was made without us is found by an index, which these tables have not.
    monkeypatch.setattr(payment_items, "find_payment_id", {"pi_1": "PAY-RES-1"}.get)
    stored.payment(paying(awaiting="payment", task_token="token", token_sequence=1))
    return flow


@pytest.fixture
def untouched(stored: Stored, flow: Workflow) -> Any:
    """Says that nothing was recorded, changed or told since the test began."""
    before = stored.get("payments", "PAY-RES-1")

    def check() -> None:
        assert stored.all("events") == []
        assert stored.all("payments") == [before]
        assert (flow.signalled, flow.started) == ([], [])

    return check


# What cannot be verified or read.


def test_an_event_that_stripe_signed_is_processed(stored: Stored, flow: Workflow) -> None:
    """D-11 D-32: the workflow looks; the event itself says nothing about money."""
    assert deliver(event(COMPLETED)) == (
        200,
        {
            "received": True,
            "event_id": "evt_1",
            "event_type": COMPLETED,
            "processing_result": "success",
            "message": "the workflow was signalled",
        },
    )
    assert flow.signalled == [("token", "refresh")]
    assert stored.get("payments", "PAY-RES-1")["captures"] == {}


FORGED = [
    ("no signature", lambda _: None),
    ("an empty signature", lambda _: ""),
    ("garbage", lambda _: "t=1,v1=zz,,=,"),
    ("another body's signature", lambda body: signature(body + b" ")),
    # D-40: an endpoint of the other mode (live or test) signs with another secret, and so does everybody else's.
    ("another secret", lambda body: signature(body, "whsec_other")),
    ("a placeholder as secret", lambda body: signature(body, "placeholder")),
    ("old", lambda body: signature(body, stamp=NOW.timestamp() - 301)),
    ("future", lambda body: signature(body, stamp=NOW.timestamp() + 301)),
]


@pytest.mark.parametrize("header", [pytest.param(row[1], id=row[0]) for row in FORGED])
def test_what_is_not_signed_is_refused(header: Any, untouched: Any) -> None:
    body = json.dumps(event(COMPLETED)).encode()
    status, told = post(body, header(body))
    assert (status, told["error_code"], told["success"]) == (400, "INVALID_SIGNATURE", False)
    assert set(told) == {"success", "error_code", "message", "recovery"}
    untouched()


@pytest.mark.parametrize("seconds", [-299, 299])
def test_clocks_may_differ_by_five_minutes(flow: Workflow, seconds: int) -> None:
    body = json.dumps(event(COMPLETED)).encode()
    assert post(body, signature(body, stamp=NOW.timestamp() + seconds))[0] == 200


@pytest.mark.parametrize("name", ["stripe-signature", "STRIPE-SIGNATURE"])
def test_header_names_have_no_case(flow: Workflow, name: str) -> None:
    body = json.dumps(event(COMPLETED)).encode()
    assert post(body, signature(body), name=name)[0] == 200


def test_the_gateway_may_deliver_base64(flow: Workflow) -> None:
    body = json.dumps(event(COMPLETED), ensure_ascii=False).encode()
    assert post(body, signature(body), encoded=True)[0] == 200


@pytest.mark.parametrize("body", ["no base64!", "YQ", "é"])
def test_broken_base64_is_refused(untouched: Any, body: str) -> None:
    answer = stripe_webhook.handler(
        {"requestContext": {"requestId": "1"}, "headers": {}, "body": body, "isBase64Encoded": True},
        CONTEXT,
    )
    assert (answer["statusCode"], json.loads(answer["body"])["error_code"]) == (400, "INVALID_PAYLOAD")
    untouched()


UNREADABLE = [
    ("no JSON", b"not json"),
    ("half of it", b'{"id": "evt_1", "type"'),
    ("nothing", b""),
    ("a list", b"[]"),
    ("a text", b'"evt_1"'),
    ("no UTF-8", b'{"id": "\xff\xfe"}'),
    ("no event", b"{}"),
    ("an id that is not Stripe's", b'{"id": "x", "type": "a.b", "data": {"object": {}}}'),
    ("an id too long for a key", b'{"id": "evt_%b", "type": "a.b", "data": {"object": {}}}' % (b"a" * 300)),
    ("a number for a type", b'{"id": "evt_1", "type": 7, "data": {"object": {}}}'),
    ("no object", b'{"id": "evt_1", "type": "a.b", "data": {}}'),
    ("deeper than any parser", b"[" * 100_000),
]


@pytest.mark.parametrize("body", [pytest.param(row[1], id=row[0]) for row in UNREADABLE])
def test_what_is_signed_but_no_event_is_refused(body: bytes, untouched: Any) -> None:
    """D-24: 400, never a 500."""
    status, told = post(body, signature(body), encoded=True)
    assert (status, told["error_code"]) == (400, "INVALID_PAYLOAD")
    untouched()


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_without_a_signature_nothing_is_parsed(body: bytes, untouched: Any) -> None:
    assert post(body, None, encoded=True)[1]["error_code"] == "INVALID_SIGNATURE"
    untouched()


# Secrets.


@pytest.mark.parametrize("signed_with", [("whsec_a",), ("whsec_b",), ("whsec_b", "whsec_a")])
def test_two_secrets_during_a_rotation(stored: Stored, flow: Workflow, signed_with: tuple[str, ...]) -> None:
    """D-27."""
    stored.parameter("webhook_secret", "whsec_a,whsec_b")
    body = json.dumps(event(COMPLETED)).encode()
    assert post(body, signature(body, *signed_with))[0] == 200


def test_a_rotated_secret_is_read_at_once(stored: Stored, flow: Workflow) -> None:
    """D-27: a warm container keeps the old one for 5 minutes, and would refuse every event until then."""
    assert deliver(event(COMPLETED))[0] == 200
    stored.parameter("webhook_secret", "whsec_new")
    body = json.dumps(event(EXPIRED, event_id="evt_2")).encode()
    assert post(body, signature(body, "whsec_new"))[0] == 200


def test_forgeries_make_it_read_the_secret_once_in_30_seconds(
    stored: Stored, flow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str | None] = []

    def watched(parameter: str) -> str | None:
        reads.append(secrets.refreshed(parameter))
        return reads[-1]

    monkeypatch.setattr(stripe_webhook, "refreshed", watched)
    body = json.dumps(event(COMPLETED)).encode()
    assert [post(body, signature(body, "whsec_other"))[0] for _ in range(3)] == [400, 400, 400]
    assert reads == [WEBHOOK_SECRET, None, None]


def test_the_placeholder_of_a_new_stack_verifies_nothing(stored: Stored, untouched: Any) -> None:
    stored.parameter("webhook_secret", "placeholder")
    body = json.dumps(event(COMPLETED)).encode()
    assert post(body, signature(body, "placeholder"))[0] == 400
    untouched()


def test_a_secret_store_that_does_not_answer_is_an_outage(
    flow: Workflow, untouched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-24: 503, so that Stripe comes again; not "invalid signature"."""

    def unavailable(_: str) -> str:
        raise SecretUnavailable("cannot read parameter")

    with monkeypatch.context() as patch:
        patch.setattr(stripe_webhook, "secret", unavailable)
        status, told = deliver(event(COMPLETED))
        assert (status, told["error_code"]) == (503, "INTERNAL_ERROR")
        untouched()
    assert deliver(event(COMPLETED))[0] == 200


# Whose event it is.


def test_a_type_nobody_handles_is_skipped_and_recorded(stored: Stored, flow: Workflow) -> None:
    envelope = event(SUCCEEDED) | {"type": "charge.succeeded"}
    status, told = deliver(envelope)
    assert (status, told["processing_result"]) == (200, "skipped")
    assert stored.get("events", "evt_1")["processing_result"] == "skipped"
    assert flow.signalled == []


NOT_OURS = [
    ("no metadata", {"metadata": {}}),
    ("metadata null", {"metadata": None}),
    ("another system's metadata", {"metadata": {"order": "7"}}),
    ("a payment that does not exist", {"metadata": {"reservation_id": "RES-9", "payment_id": "PAY-RES-9"}}),
    ("two ids that do not belong together", {"metadata": {"reservation_id": "RES-9", "payment_id": "PAY-RES-1"}}),
    ("the reservation only", {"metadata": {"reservation_id": "RES-1"}}),
    ("the payment only", {"metadata": {"payment_id": "PAY-RES-1"}}),
    ("numbers for ids", {"metadata": {"reservation_id": 1, "payment_id": 2}}),
]


@pytest.mark.parametrize("kind", [COMPLETED, SUCCEEDED, FAILED, EXPIRED])
@pytest.mark.parametrize("of", [pytest.param(row[1], id=row[0]) for row in NOT_OURS])
def test_what_is_not_ours_changes_nothing(stored: Stored, flow: Workflow, kind: str, of: dict[str, Any]) -> None:
    """D-05: no payment and no reservation comes of an event."""
    before = stored.get("payments", "PAY-RES-1")
    status, told = deliver(event(kind, of=of))
    assert (status, told["processing_result"]) == (200, "skipped")
    assert stored.all("payments") == [before]
    assert stored.all("reservations") == []
    assert flow.signalled == []


# What is recorded, and when.


def test_an_event_is_recorded_with_its_effect(stored: Stored, flow: Workflow) -> None:
    """D-28."""
    envelope = event(COMPLETED)
    deliver(envelope)
    assert stored.get("events", "evt_1") == {
        "event_id": "evt_1",
        "event_type": COMPLETED,
        "processed_at": "2026-11-24T15:00:00.000Z",
        "payload_hash": sha256(json.dumps(envelope, indent=2).encode()).hexdigest(),
        "payment_id": "PAY-RES-1",
        "reservation_id": "RES-1",
        "processing_result": "success",
        "ttl": 1_803_308_400,
    }


def test_nothing_is_recorded_before_the_effect(stored: Stored, flow: Workflow) -> None:
    """D-03."""
    seen: list[Any] = []
    flow.refreshes = lambda: seen.append(stored.all("events"))
    deliver(event(COMPLETED))
    assert seen == [[]]


def test_a_duplicate_has_no_effect(stored: Stored, flow: Workflow) -> None:
    """D-10 P-10."""
    deliver(event(COMPLETED))
    recorded = stored.get("events", "evt_1")
    flow.waiting.add("token")
    status, told = deliver(event(COMPLETED))
    assert (status, told["processing_result"]) == (200, "duplicate")
    assert flow.signalled == [("token", "refresh")]
    assert stored.all("events") == [recorded]


def test_three_at_once_have_one_effect(stored: Stored, flow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-10: all three have looked before one acts; one signal, one record, and every answer is 200."""
    processed, record, moto = webhook_events.event_processed, webhook_events.record_event, threading.Lock()
    together = threading.Barrier(3)

    def read(event_id: str) -> bool:
        found = processed(event_id)
        together.wait(5)
        return found

    def write(*given: Any, **named: Any) -> bool:
        with moto:  # moto's conditions are not atomic
            return record(*given, **named)

    monkeypatch.setattr(webhook_events, "event_processed", read)
    monkeypatch.setattr(webhook_events, "record_event", write)
    monkeypatch.setattr(money_events, "PATIENCE", 3.0)
    # What the workflow does once it was told: it finds the money.
    flow.refreshes = lambda: stored.payment(
        paying(attempts={"1": closed(status="paid")}, captures={"pi_1": capture()}, token_sequence=1)
    )
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: deliver(event(COMPLETED)), range(3)))
    assert [status for status, _ in answers] == [200, 200, 200]
    assert sorted(told["processing_result"] for _, told in answers) == ["duplicate", "duplicate", "success"]
    assert flow.signalled == [("token", "refresh")]
    assert [item["processing_result"] for item in stored.all("events")] in (["success"], ["duplicate"])


@pytest.mark.parametrize(
    ("failure", "status", "recorded"),
    [
        (WorkflowUnavailable("ThrottlingException"), 503, ["error"]),
        (StoreBusy("ThrottlingException"), 503, ["error"]),
        (ClientError({"Error": {"Code": "InvalidToken"}}, "SendTaskSuccess"), 500, []),
        (RuntimeError("a defect"), 500, []),
    ],
    ids=["Step Functions", "DynamoDB", "a token that never was one", "a defect"],
)
def test_an_error_in_the_middle_is_answered_5xx_and_works_on_redelivery(
    stored: Stored, flow: Workflow, failure: Exception, status: int, recorded: list[str]
) -> None:
    """D-03 D-38 P-06."""
    flow.failures.append(failure)
    answer = deliver(event(COMPLETED))
    assert (answer[0], answer[1]["error_code"]) == (status, "INTERNAL_ERROR")
    assert [item["processing_result"] for item in stored.all("events")] == recorded
    assert flow.signalled == []

    assert deliver(event(COMPLETED))[1]["processing_result"] == "success"
    assert flow.signalled == [("token", "refresh")]
    [item] = stored.all("events")
    assert item["processing_result"] == "success"
    assert "error_message" not in item


@pytest.mark.parametrize(
    ("module", "at"),
    [
        (webhook_events, "event_processed"),
        (payment_items, "read_payment"),
        (webhook_events, "record_event"),
        (payment_items, "mark_unresolved"),
    ],
)
def test_a_store_that_is_busy_anywhere_is_answered_503(
    stored: Stored, flow: Workflow, monkeypatch: pytest.MonkeyPatch, module: ModuleType, at: str
) -> None:
    """D-03: whichever step it was, the event comes again and is not known as processed."""
    stored.payment(paying(attempts={"1": closed()}, awaiting="retry", task_token="token", token_sequence=2))

    def busy(*_: Any, **__: Any) -> Any:
        raise StoreBusy("ThrottlingException")

    with monkeypatch.context() as patch:
        patch.setattr(module, at, busy)
        assert deliver(event(COMPLETED))[0] == 503
    assert not webhook_events.event_processed("evt_1")
    flow.waiting.add("token")
    assert deliver(event(COMPLETED))[0] == 200
    assert webhook_events.event_processed("evt_1")


def test_an_error_never_replaces_a_success(stored: Stored, flow: Workflow) -> None:
    """Of two deliveries at once the slower one may fail after the faster one was done."""
    deliver(event(COMPLETED))
    assert not webhook_events.record_event("evt_1", {"processing_result": "error"}, now=NOW)
    assert stored.get("events", "evt_1")["processing_result"] == "success"


# Money.


@pytest.mark.parametrize("kind", [COMPLETED, "checkout.session.async_payment_succeeded", SUCCEEDED])
@pytest.mark.parametrize("awaiting", ["payment", "retry"])
def test_money_makes_whichever_wait_there_is_look(stored: Stored, flow: Workflow, kind: str, awaiting: str) -> None:
    stored.payment(paying(awaiting=awaiting, task_token="token", token_sequence=1))
    assert deliver(event(kind))[1]["message"] == "the workflow was signalled"
    assert flow.signalled == [("token", "refresh")]


def test_money_that_is_recorded_is_a_duplicate(stored: Stored, flow: Workflow) -> None:
    stored.payment(paying(captures={"pi_1": capture()}, awaiting="payment", task_token="token"))
    assert deliver(event(SUCCEEDED))[1]["processing_result"] == "duplicate"
    assert flow.signalled == []


def test_between_two_states_it_waits_for_the_next(
    stored: Stored, flow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-12: an event that comes before the token is stored is not lost, nor sent again in vain."""
    stored.payment(paying())

    def later() -> None:
        time.sleep(0.1)
        stored.payment(paying(awaiting="payment", task_token="token", token_sequence=1))

    monkeypatch.setattr(money_events, "PATIENCE", 3.0)
    waiting = threading.Thread(target=later)
    waiting.start()
    assert deliver(event(COMPLETED))[1]["message"] == "the workflow was signalled"
    waiting.join()
    assert flow.signalled == [("token", "refresh")]


def test_an_attempt_that_is_closed_while_it_waits_is_doubted_all_the_same(
    stored: Stored, flow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-09: the state that closes it has asked Stripe before the money came."""
    stored.payment(paying())

    def close(_: float) -> None:
        stored.payment(paying(attempts={"1": closed()}, awaiting="retry", task_token="token", token_sequence=2))

    monkeypatch.setattr(money_events, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=close))
    assert deliver(event(COMPLETED))[1]["message"] == "the workflow was signalled"
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["status"] == "unresolved"


def test_a_token_that_no_longer_waits_says_nothing_about_money(
    stored: Stored, flow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state has moved on: the item is read again, and then the next token is told."""
    flow.waiting = {"next"}
    told: list[str] = []

    def signal(token: str, what: str) -> bool:
        told.append(token)
        stored.payment(paying(awaiting="retry", task_token="next", token_sequence=2))
        return flow.signal(token, what)

    monkeypatch.setattr(step_functions, "signal", signal)
    assert deliver(event(COMPLETED))[0] == 200
    assert told == ["token", "next"]


def test_an_execution_that_is_dead_is_answered_503(stored: Stored, flow: Workflow) -> None:
    """P-13: its replacement will be there when the event comes again."""
    flow.waiting.clear()
    status, told = deliver(event(COMPLETED))
    assert (status, told["error_code"]) == (503, "INTERNAL_ERROR")
    assert stored.get("events", "evt_1")["error_message"] == "NotWaiting"


@pytest.mark.parametrize("kind", [COMPLETED, SUCCEEDED])
def test_money_of_a_session_that_counted_as_closed_is_looked_for(stored: Stored, flow: Workflow, kind: str) -> None:
    """D-09: the next look asks Stripe about that session too."""
    stored.payment(
        paying(
            attempts={"1": closed(), "2": attempt(stripe_checkout_session_id="cs_2")},
            current_attempt="2",
            awaiting="payment",
            task_token="token",
        )
    )
    deliver(event(kind))
    item = stored.get("payments", "PAY-RES-1")
    assert item["attempts"]["1"]["status"] == "unresolved"
    assert item["attempts"]["2"]["status"] == "open"
    assert flow.signalled == [("token", "refresh")]


def test_the_session_of_an_attempt_that_never_got_an_answer_is_learnt(stored: Stored, flow: Workflow) -> None:
    never = opening(status="closed", closed_at=NOW, close_reason="never_opened")
    stored.payment(paying(attempts={"1": never}, awaiting="retry", task_token="token"))
    deliver(event(COMPLETED))
    known = stored.get("payments", "PAY-RES-1")["attempts"]["1"]
    assert (known["status"], known["stripe_checkout_session_id"]) == ("unresolved", "cs_1")


def test_an_attempt_is_doubted_once_the_money_is_unknown_only(stored: Stored, flow: Workflow) -> None:
    stored.payment(paying(attempts={"1": closed()}, captures={"pi_1": capture()}, awaiting="retry", task_token="token"))
    deliver(event(COMPLETED))
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["status"] == "closed"


@pytest.mark.parametrize("status", ["expired", "completed", "partially_refunded", "refunded"])
@pytest.mark.parametrize("kind", [COMPLETED, "checkout.session.async_payment_succeeded", SUCCEEDED])
def test_unknown_money_for_a_payment_that_is_over_is_given_back(
    stored: Stored, flow: Workflow, status: str, kind: str
) -> None:
    """D-04 D-09: late or second money; the refund's execution is named after its PaymentIntent."""
    stored.payment(paying(status=status))
    assert deliver(event(kind))[1]["message"] == "the money is refunded"
    assert flow.started == [
        (
            "REF-pi_1",
            {
                "refund_id": "REF-pi_1",
                "reservation_id": "RES-1",
                "payment_id": "PAY-RES-1",
                "kind": "unapplied",
                "payment_intent": "pi_1",
                "requested_by": "webhook",
            },
        )
    ]
    assert flow.signalled == []


def test_a_late_session_that_took_no_money_is_skipped(stored: Stored, flow: Workflow) -> None:
    stored.payment(paying(status="expired"))
    assert deliver(event(COMPLETED, of={"payment_status": "unpaid"}))[1]["processing_result"] == "skipped"
    assert flow.started == []


def test_a_refund_that_cannot_be_started_is_tried_again(stored: Stored, flow: Workflow) -> None:
    stored.payment(paying(status="expired"))
    flow.failures.append(WorkflowUnavailable("ThrottlingException"))
    assert deliver(event(SUCCEEDED))[0] == 503
    assert deliver(event(SUCCEEDED))[0] == 200
    assert [name for name, _ in flow.started] == ["REF-pi_1"]


def test_late_money_is_told_before_it_is_given_back(stored: Stored, flow: Workflow) -> None:
    """D-03: whoever dies in between tells when the event comes again."""
    stored.payment(paying(status="expired"))
    flow.failures.append(RuntimeError("died"))
    assert deliver(event(SUCCEEDED))[0] == 500
    assert (flow.notified, flow.started) == (["LatePayment"], [])
    assert deliver(event(SUCCEEDED))[0] == 200
    assert flow.notified == ["LatePayment", "LatePayment"]
    assert [name for name, _ in flow.started] == ["REF-pi_1"]


@pytest.mark.parametrize(("before", "notified"), [(None, ["LatePayment"]), ({"late REF-pi_1"}, [])])
def test_late_money_that_is_on_its_way_back_is_told_unless_it_was(
    stored: Stored, flow: Workflow, before: set[str] | None, notified: list[str]
) -> None:
    """D-03: it was not where SNS refused and the refund began nevertheless."""
    entry = refund(kind="unapplied", requested_by="webhook")
    given_back = {"captures": {"pi_1": capture(role="unapplied")}, "refunds": {"REF-pi_1": entry}}
    stored.payment(paying(status="expired", notified=before, **given_back))
    assert deliver(event(SUCCEEDED))[0] == 200
    assert deliver(event(COMPLETED, event_id="evt_2"))[1]["processing_result"] == "duplicate"
    assert flow.notified == notified


# Telling operators.


TOLD = [
    ("PaymentDisputed", made_there("charge.dispute.created", id="dp_1", status="needs_response"), []),
    ("DashboardRefundFailed", made_there("refund.failed", status="failed"), []),
    ("LatePayment", event(SUCCEEDED, of={"id": "pi_2"}), ["REF-pi_2"]),
]


@pytest.mark.parametrize(("name", "of", "started"), [pytest.param(*row, id=row[0]) for row in TOLD])
def test_what_operators_could_not_be_told_is_told_when_the_event_comes_again(
    stored: Stored, flow: Workflow, name: str, of: dict[str, Any], started: list[str]
) -> None:
    """D-03 D-31: no effect waits for it, nor is it told once more after it was."""
    stored.payment(paying(status="completed", captures={"pi_1": capture(role="booking")}))
    flow.refusals = 1
    assert deliver(of)[0] == 503
    [item] = stored.all("events")
    assert (item["processing_result"], item["error_message"]) == ("error", "NotificationFailed")
    assert [of for of, _ in flow.started] == started
    assert flow.notified == []

    assert deliver(of)[0] == 200
    assert flow.notified == [name]
    assert deliver(of)[1]["message"] == "processed before"
    assert flow.notified == [name]


# Refunds.


@pytest.mark.parametrize("known", [{}, {"re_1": refund(kind="dashboard", status="canceled")}], ids=["new", "known"])
def test_a_refund_of_the_dashboard_that_is_canceled_is_told(
    stored: Stored, flow: Workflow, known: dict[str, Any]
) -> None:
    """D-31: whoever entered it may have died before anybody was told."""
    stored.payment(paying(status="completed", captures={"pi_1": capture(role="booking")}, refunds=known))
    assert deliver(made_there("refund.updated", status="canceled"))[0] == 200
    assert stored.get("payments", "PAY-RES-1")["refunds"]["re_1"]["status"] == "canceled"
    assert flow.notified == ["DashboardRefundFailed"]


@pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "refund.failed"])
def test_a_refund_without_any_metadata_is_one_of_the_dashboard(stored: Stored, flow: Workflow, kind: str) -> None:
    """D-31."""
    stored.payment(paying(status="completed", captures={"pi_1": capture(role="booking")}))
    status = "failed" if kind == "refund.failed" else "succeeded"
    assert deliver(made_there(kind, status=status, metadata=None))[0] == 200
    entry = stored.get("payments", "PAY-RES-1")["refunds"]["re_1"]
    assert (entry["kind"], entry["status"], entry["stripe_refund_id"]) == ("dashboard", status, "re_1")


@pytest.mark.parametrize(("role", "started"), [("booking", []), (None, []), ("unapplied", ["REF-re_1"])])
def test_what_a_refund_of_the_dashboard_fails_to_give_back_of_unapplied_money_we_give_back(
    stored: Stored, flow: Workflow, role: str | None, started: list[str]
) -> None:
    """D-31: the booking's money stays, and what no state has looked at yet the workflow judges."""
    taken = capture(role=role, refundable=0)
    there = refund(kind="dashboard", amount=taken.amount, status="succeeded", stripe_refund_id="re_1", attempt=1)
    stored.payment(paying(status="expired", captures={"pi_1": taken}, refunds={"re_1": there}, refund_amount=TOTAL))
    assert deliver(made_there("refund.failed", status="failed", amount=TOTAL))[0] == 200
    assert stored.get("payments", "PAY-RES-1")["captures"]["pi_1"]["refundable"] == TOTAL
    assert [name for name, _ in flow.started] == started
    assert flow.notified == ["DashboardRefundFailed"]


OURS = {"refund_id": "G1", "reservation_id": "RES-1", "payment_id": "PAY-RES-1"}
ASKS = {"awaiting": "operator", "task_token": "token"}


@pytest.mark.parametrize(
    ("entry", "answered", "signalled"),
    [
        (ASKS, 200, [("token", "retry")]),
        ({}, 503, []),
        (ASKS | {"task_token": "gone"}, 503, []),
        (ASKS | {"stripe_refund_id": "re_0"}, 200, []),
    ],
    ids=["a person is asked", "nobody is asked yet", "nobody is asked any more", "Stripe had answered"],
)
def test_a_refund_whose_answer_was_lost_is_found_before_a_person_pays_it_again(
    stored: Stored, flow: Workflow, entry: dict[str, Any], answered: int, signalled: list[tuple[str, str]]
) -> None:
    """D-13: it was taken for failed, and Stripe says that it is done."""
    failed = refund(**({"status": "failed", "failure_reason": "unknown"} | entry))
    stored.payment(paying(status="completed", captures={"pi_1": capture(role="booking")}, refunds={"G1": failed}))
    before = stored.get("payments", "PAY-RES-1")
    assert deliver(made_there("refund.updated", status="succeeded", metadata=OURS))[0] == answered
    assert (flow.signalled, flow.started) == (signalled, [])
    assert stored.get("payments", "PAY-RES-1") == before


# Sessions that end, cards that are declined.


@pytest.mark.parametrize("kind", [EXPIRED, "checkout.session.async_payment_failed"])
def test_a_session_that_ended_makes_the_workflow_look(flow: Workflow, kind: str) -> None:
    """D-11."""
    assert deliver(event(kind))[1]["message"] == "the workflow was signalled"
    assert flow.signalled == [("token", "refresh")]


@pytest.mark.parametrize(
    "of",
    [
        {"attempts": {"1": closed()}},
        {"attempts": {"1": closed(status="paid")}},
        {"attempts": {}, "current_attempt": None},
        {"status": "completed"},
        {"status": "expired"},
    ],
    ids=["closed", "paid", "unknown attempt", "completed", "released"],
)
@pytest.mark.parametrize("kind", [EXPIRED, "checkout.session.async_payment_failed"])
def test_the_end_of_what_is_known_to_have_ended_is_skipped(
    stored: Stored, flow: Workflow, kind: str, of: dict[str, Any]
) -> None:
    stored.payment(paying(**({"awaiting": "retry", "task_token": "token"} | of)))
    assert deliver(event(kind))[1]["processing_result"] == "skipped"
    assert flow.signalled == []


def test_the_end_of_a_session_needs_nobody_to_wait(stored: Stored, flow: Workflow) -> None:
    """It is no money: the workflow is looking already, and no redelivery is asked for."""
    flow.waiting.clear()
    assert deliver(event(EXPIRED))[0:1] == (200,)


def test_a_decline_is_recorded_and_the_session_stays_open(stored: Stored, flow: Workflow) -> None:
    """D-12: it uses up no attempt and signals nobody."""
    assert deliver(event(FAILED))[1]["message"] == "the decline is recorded"
    known = stored.get("payments", "PAY-RES-1")["attempts"]["1"]
    assert known["declines"] == {"ch_1": "generic_decline"}
    assert (known["failure_code"], known["failure_message"]) == ("generic_decline", "Your card was declined.")
    assert (known["status"], known["counted"]) == ("open", 1)
    assert flow.signalled == []


def test_a_decline_told_by_two_events_counts_once(stored: Stored, flow: Workflow) -> None:
    """Stripe's duplicates may be two event objects."""
    deliver(event(FAILED))
    deliver(event(FAILED, event_id="evt_2"))
    deliver(event(FAILED, event_id="evt_3", of={"latest_charge": "ch_2"}))
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["declines"] == {
        "ch_1": "generic_decline",
        "ch_2": "generic_decline",
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"decline_code": "lost_card", "code": "card_declined"}, "lost_card"),
        ({"code": "expired_card"}, "expired_card"),
        ({}, "declined"),
        (None, "declined"),
    ],
)
def test_a_decline_has_the_most_telling_code_there_is(stored: Stored, flow: Workflow, error: Any, code: str) -> None:
    deliver(event(FAILED, of={"last_payment_error": error}))
    assert stored.get("payments", "PAY-RES-1")["attempts"]["1"]["failure_code"] == code


@pytest.mark.parametrize("status", ["completed", "refunded", "expired"])
def test_a_decline_that_comes_late_changes_no_payment(stored: Stored, flow: Workflow, status: str) -> None:
    """D-39 P-04: the paid order stays paid."""
    own = {"pi_1": capture(role="booking")}
    stored.payment(paying(status=status, attempts={"1": closed(status="paid")}, captures=own))
    before = stored.get("payments", "PAY-RES-1")
    assert deliver(event(FAILED))[0] == 200
    after = stored.get("payments", "PAY-RES-1")
    assert after["attempts"]["1"].pop("declines") == {"ch_1": "generic_decline"}
    for name in ("failure_code", "failure_message"):
        after["attempts"]["1"].pop(name)
    before["attempts"]["1"].pop("declines")
    assert after == before
    assert (flow.signalled, flow.started) == ([], [])


def test_a_decline_of_an_attempt_nobody_knows_is_skipped(stored: Stored, flow: Workflow) -> None:
    metadata = {"reservation_id": "RES-1", "payment_id": "PAY-RES-1", "attempt": "7"}
    assert deliver(event(FAILED, of={"metadata": metadata}))[1]["processing_result"] == "skipped"
    assert set(stored.get("payments", "PAY-RES-1")["attempts"]) == {"1"}


def test_a_payment_never_started_is_told_nothing(stored: Stored, flow: Workflow) -> None:
    """A cancel request makes the item before any execution: money for it cannot be, and waits for one."""
    stored.put("payments", to_item(payment(cancel_requested_at=NOW)))
    assert deliver(event(COMPLETED))[0] == 503


# Logs.


def test_no_log_line_holds_what_is_the_guests_or_secret(stored: Stored, flow: Workflow, log: io.StringIO) -> None:
    """D-29: one JSON object a line, with the ids that lead to the booking, the event and Stripe."""
    deliver(event(COMPLETED))
    deliver(event(FAILED, event_id="evt_2"))
    body = json.dumps(event(COMPLETED)).encode()
    post(body, signature(body, "whsec_other"))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line.get("stripe_event_id") for line in lines] == ["evt_1", "evt_2"]
    assert {line["reservation_id"] for line in lines} == {"RES-1"}
    assert all(line["correlation_id"] for line in lines)
    for secret in ("ada@guests.example", WEBHOOK_SECRET, "whsec_other", '"token"', "pi_1_secret", "declined."):
        assert secret not in log.getvalue()
