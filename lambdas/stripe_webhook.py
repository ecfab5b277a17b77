"""Route POST /webhooks/stripe: Stripe's events, verified, then processed (shared/services/stripe_events.py).

Answers: 400 what cannot be verified or read; 200 done, duplicate or not ours; 5xx what could not be done, so that
Stripe sends it again.
Changes: nothing by itself; see shared/services/stripe_events.py.
Safe to run twice: what an event causes is.
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
from shared.contracts.http import ErrorResponse
from shared.contracts.stripe_objects import StripeEvent
from shared.domain.errors import ApiError, TransientError
from shared.observability import count, entry_point, logger
from shared.services.stripe_event_registry import unreadable
from shared.services.stripe_events import process
from shared.settings import settings


@entry_point
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer in the REST proxy shape."""
    request_id = event["requestContext"]["requestId"]
    try:
        body = _body(event)
        _verify(body, _header(event, "stripe-signature"))
        answer = process(_parsed(body), sha256(body).hexdigest())
        count("WebhookEvents", result=answer.processing_result)
        return _response(200, answer.model_dump_json(), request_id)
    except ApiError as error:
        told, status = error, error.status
    except TransientError as error:
        logger.warning("not processed", error=type(error).__name__, reason=str(error))
        told, status = _again(), 503
    except Exception:  # noqa: BLE001 - whatever it is, Stripe must send the event again
        logger.exception("not processed")
        told, status = _again(), 500
    count("WebhookEvents", result=told.error_code)
    refused = ErrorResponse(error_code=told.error_code, message=told.message, recovery=told.recovery)
    return _response(status, refused.model_dump_json(exclude_none=True), request_id)


def _again() -> ApiError:
    return ApiError(500, "INTERNAL_ERROR", "The event could not be processed.", "Send it again.")


def _response(status: int, body: str, request_id: str) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "x-correlation-id": request_id},
        "body": body,
    }


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise unreadable() from error


def _header(event: Mapping[str, Any], name: str) -> str:
    headers = event.get("headers") or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name), "")


def _verify(body: bytes, header: str) -> None:
    parameter = settings().stripe_webhook_secret_parameter
    now = datetime.now(UTC)
    if verified(body, header, secrets_in(secret(parameter)), now):
        return
    rolled = refreshed(parameter)
    if rolled is None or not verified(body, header, secrets_in(rolled), now):
        raise ApiError(
            400, "INVALID_SIGNATURE", "The signature does not fit the body.", "Check the endpoint's signing secret."
        )


def _parsed(body: bytes) -> StripeEvent:
    try:
        return StripeEvent.model_validate(json.loads(body))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValidationError) as error:
        raise unreadable() from error
