"""Route POST /webhooks/stripe: verify an event from Stripe and process it.

Answers: 400 if the event cannot be verified or read; 200 if it was processed, is a duplicate or is not ours; 500 or 503
if it could not be processed, so that Stripe sends it again.
Changes: nothing by itself; see shared/services/stripe_events.py.
Safe to run twice: processing an event again finds what it did the first time.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from shared.adapters.secrets import refreshed, secret
from shared.adapters.signature import secrets_in, verified
from shared.contracts.http_bodies import ErrorResponse
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.api_errors import ApiError
from shared.domain.errors import TransientError
from shared.observability import count, entry_point, log_failure, logger
from shared.services.stripe_events import process
from shared.settings import settings
from shared.start_up import at_start


@at_start
def read_signing_secret() -> None:
    secret(settings().stripe_webhook_secret_parameter)


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer in the REST proxy shape."""
    request_id = event["requestContext"]["requestId"]
    try:
        sent = _decode_body(event)
        _verify(sent, _find_header(event, "stripe-signature"))
        answer = process(_parse_event(sent), sha256(sent).hexdigest())
        count("WebhookEvents", result=answer.processing_result)
        return _response(200, answer.model_dump_json(), request_id)
    except ApiError as error:
        refusal = error
    except TransientError as error:
        logger.warning("not processed", error=type(error).__name__, reason=str(error))
        refusal = ApiError("INTERNAL_ERROR", "event_later")
    except Exception as error:  # noqa: BLE001 - whatever it is, Stripe must send the event again
        log_failure("not processed", error)
        refusal = ApiError("INTERNAL_ERROR", "event")
    count("WebhookEvents", result=refusal.answer.code)
    body = ErrorResponse.of(refusal).model_dump_json(exclude_none=True)
    return _response(refusal.answer.status, body, request_id)


def _response(status: int, body: str, request_id: str) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "x-correlation-id": request_id},
        "body": body,
    }


def _decode_body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise ApiError("INVALID_PAYLOAD") from error


def _find_header(event: Mapping[str, Any], name: str) -> str:
    headers = event.get("headers") or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name), "")


def _verify(body: bytes, header: str) -> None:
    parameter = settings().stripe_webhook_secret_parameter
    now = datetime.now(UTC)
    if verified(body, header, secrets_in(secret(parameter)), now):
        return
    rolled = refreshed(parameter)
    if rolled is None or not verified(body, header, secrets_in(rolled), now):
        raise ApiError("INVALID_SIGNATURE")


def _parse_event(body: bytes) -> StripeEvent:
    try:
        return StripeEvent.model_validate(json.loads(body))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValidationError) as error:
        raise ApiError("INVALID_PAYLOAD") from error
