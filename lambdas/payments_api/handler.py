"""Routes /payments/…: start, read, retry, cancel and refund a booking's payment (docs/integration.md).

Changes: starts and resumes executions; marks cancel requests, refreshes and granted attempts on the payment item.
Safe to run twice: an execution is named after its booking, a token resumes one wait only, and a cancel request stays
as it was first made. No route calls Stripe, and none decides that a booking is paid.
"""

import functools
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response

from lambdas.payments_api import cancellation, checkout, operators, refund_quotes, refunds, status
from lambdas.payments_api.http import error_response, router
from shared.domain.api_errors import ApiError
from shared.domain.errors import TransientError
from shared.observability import entry_point, log_failure, logger
from shared.settings import settings

MODULES = (checkout, status, cancellation, refund_quotes, refunds, operators)
"""Each registers its routes with `router` when it is imported."""


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer in the REST proxy shape; every answer carries the gateway's request id as `x-correlation-id`."""
    answer = _app().resolve(event, context)
    answer.setdefault("multiValueHeaders", {})["x-correlation-id"] = [event["requestContext"]["requestId"]]
    return answer


@functools.cache
def _app() -> APIGatewayRestResolver:
    default, *others = settings().origins
    cors = CORSConfig(
        allow_origin=default,
        extra_origins=others,
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        expose_headers=["x-correlation-id", "Location", "Retry-After"],
        max_age=600,
    )
    app = APIGatewayRestResolver(cors=cors)
    app.include_router(router)
    app.exception_handler(ApiError)(error_response)
    app.exception_handler(TransientError)(_transient_error)
    app.exception_handler(Exception)(_unhandled_error)
    app.not_found(lambda _: error_response(ApiError("NOT_FOUND", "address")))
    return app


def _transient_error(error: TransientError) -> Response[str]:
    logger.error("unavailable", error=type(error).__name__, reason=str(error))
    return error_response(ApiError("INTERNAL_ERROR"))


def _unhandled_error(error: Exception) -> Response[str]:
    log_failure("unhandled", error)
    return error_response(ApiError("INTERNAL_ERROR"))
