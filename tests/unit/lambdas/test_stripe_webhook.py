"""lambdas.stripe_webhook: which requests it verifies and parses, what it answers, and what it logs."""

import io
import json
from collections.abc import Callable

import pytest

from lambdas import stripe_webhook
from shared.adapters import secrets
from shared.domain.errors import SecretUnavailable
from tests.harness.builders import NOW
from tests.harness.lambda_environment import CONTEXT, WEBHOOK_SECRET
from tests.harness.webhook_deliveries import COMPLETED, DECLINED, EXPIRED, Webhook, deliver, event, post, signature

BODY = json.dumps(event(COMPLETED)).encode()


@pytest.mark.defect("D-11", "D-32")
def test_a_signed_event_makes_the_workflow_ask_stripe(webhook: Webhook) -> None:
    """The event itself is no proof of money."""
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
    assert webhook.signalled == [("token", "refresh")]
    assert webhook.item["captures"] == {}


FORGED: dict[str, Callable[[bytes], str | None]] = {
    "no signature": lambda _: None,
    "an empty signature": lambda _: "",
    "garbage": lambda _: "t=1,v1=zz,,=,",
    "the signature of another body": lambda body: signature(body + b" "),
    "another secret": lambda body: signature(body, "whsec_other"),
    "a placeholder as secret": lambda body: signature(body, "placeholder"),
    "too old": lambda body: signature(body, timestamp=NOW.timestamp() - 301),
    "in the future": lambda body: signature(body, timestamp=NOW.timestamp() + 301),
}


@pytest.mark.defect("D-40")
@pytest.mark.parametrize("header", FORGED.values(), ids=FORGED.keys())
def test_a_request_without_a_valid_signature_is_refused(
    webhook: Webhook, header: Callable[[bytes], str | None]
) -> None:
    """An endpoint of the other mode (live or test) signs with another secret, too."""
    with webhook.has_no_effect():
        status, answer = post(BODY, header(BODY))
    assert (status, answer["error_code"], answer["success"]) == (400, "INVALID_SIGNATURE", False)
    assert set(answer) == {"success", "error_code", "message", "recovery"}


@pytest.mark.parametrize("seconds", [-299, 299])
def test_clocks_may_differ_by_five_minutes(webhook: Webhook, seconds: int) -> None:
    assert post(BODY, signature(BODY, timestamp=NOW.timestamp() + seconds))[0] == 200


@pytest.mark.parametrize("name", ["stripe-signature", "STRIPE-SIGNATURE"])
def test_the_header_is_found_in_any_case(webhook: Webhook, name: str) -> None:
    assert post(BODY, signature(BODY), name=name)[0] == 200


def test_a_base64_encoded_body_is_decoded(webhook: Webhook) -> None:
    body = json.dumps(event(COMPLETED), ensure_ascii=False).encode()
    assert post(body, signature(body), encoded=True)[0] == 200


@pytest.mark.parametrize("body", ["no base64!", "YQ", "é"])
def test_invalid_base64_is_refused(webhook: Webhook, body: str) -> None:
    request = {"requestContext": {"requestId": "1"}, "headers": {}, "body": body, "isBase64Encoded": True}
    with webhook.has_no_effect():
        answer = stripe_webhook.handler(request, CONTEXT)
    assert (answer["statusCode"], json.loads(answer["body"])["error_code"]) == (400, "INVALID_PAYLOAD")


UNREADABLE = {
    "not JSON": b"not json",
    "truncated": b'{"id": "evt_1", "type"',
    "empty": b"",
    "a list": b"[]",
    "a string": b'"evt_1"',
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "not an event": b"{}",
    "an id that is not Stripe's": b'{"id": "x", "type": "a.b", "data": {"object": {}}}',
    "an id too long for a key": b'{"id": "evt_%b", "type": "a.b", "data": {"object": {}}}' % (b"a" * 300),
    "a number as type": b'{"id": "evt_1", "type": 7, "data": {"object": {}}}',
    "no object": b'{"id": "evt_1", "type": "a.b", "data": {}}',
    "nested too deeply for any parser": b"[" * 100_000,
}


@pytest.mark.defect("D-24")
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_signed_body_that_is_not_an_event_is_refused(webhook: Webhook, body: bytes) -> None:
    """With 400, never with 500."""
    with webhook.has_no_effect():
        status, answer = post(body, signature(body), encoded=True)
    assert (status, answer["error_code"]) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_an_unsigned_body_is_not_parsed(webhook: Webhook, body: bytes) -> None:
    with webhook.has_no_effect():
        assert post(body, None, encoded=True)[1]["error_code"] == "INVALID_SIGNATURE"


@pytest.mark.defect("D-27")
@pytest.mark.parametrize("signed_with", [("whsec_a",), ("whsec_b",), ("whsec_b", "whsec_a")])
def test_two_secrets_are_accepted_during_a_rotation(webhook: Webhook, signed_with: tuple[str, ...]) -> None:
    webhook.stored.parameter("webhook_secret", "whsec_a,whsec_b")
    assert post(BODY, signature(BODY, *signed_with))[0] == 200


@pytest.mark.defect("D-27")
def test_a_rotated_secret_is_read_at_once(webhook: Webhook) -> None:
    """Otherwise a warm container would refuse every event for up to 5 minutes."""
    assert deliver(event(COMPLETED))[0] == 200
    webhook.stored.parameter("webhook_secret", "whsec_new")
    body = json.dumps(event(EXPIRED, event_id="evt_2")).encode()
    assert post(body, signature(body, "whsec_new"))[0] == 200


def test_forged_requests_make_it_read_the_secret_once_in_30_seconds(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str | None] = []

    def watched(parameter: str) -> str | None:
        reads.append(secrets.refreshed(parameter))
        return reads[-1]

    monkeypatch.setattr(stripe_webhook, "refreshed", watched)
    assert [post(BODY, signature(BODY, "whsec_other"))[0] for _ in range(3)] == [400, 400, 400]
    assert reads == [WEBHOOK_SECRET, None, None]


def test_the_placeholder_of_a_new_stack_verifies_nothing(webhook: Webhook) -> None:
    webhook.stored.parameter("webhook_secret", "placeholder")
    with webhook.has_no_effect():
        assert post(BODY, signature(BODY, "placeholder"))[0] == 400


@pytest.mark.defect("D-24")
def test_an_unavailable_secret_is_answered_503(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe then sends the event again, which it would not do for an invalid signature."""

    def unavailable(_: str) -> str:
        raise SecretUnavailable("cannot read parameter")

    with monkeypatch.context() as patch, webhook.has_no_effect():
        patch.setattr(stripe_webhook, "secret", unavailable)
        status, answer = deliver(event(COMPLETED))
    assert (status, answer["error_code"]) == (503, "INTERNAL_ERROR")
    assert deliver(event(COMPLETED))[0] == 200


@pytest.mark.defect("D-29")
def test_logs_hold_ids_but_no_personal_data_and_no_secrets(webhook: Webhook, log: io.StringIO) -> None:
    """Each line is a JSON object with the ids that lead to the booking, the event and Stripe."""
    deliver(event(COMPLETED))
    deliver(event(DECLINED, event_id="evt_2"))
    post(BODY, signature(BODY, "whsec_other"))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    logged = [(line["message"], line.get("stripe_event_id")) for line in lines]
    assert logged == [("signalled", "evt_1"), ("webhook", "evt_1"), ("webhook", "evt_2")]
    assert {line["reservation_id"] for line in lines} == {"RES-1"}
    assert all(line["correlation_id"] for line in lines)
    for secret in ("ada@guests.example", WEBHOOK_SECRET, "whsec_other", '"token"', "pi_1_secret", "declined."):
        assert secret not in log.getvalue()
