"""What all routes share: who calls, which booking, the parsed body, and the shape of an answer."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.api_gateway import BaseRouter, Router
from pydantic import BaseModel

from shared.adapters import bookings
from shared.contracts.field_errors import describe_errors
from shared.contracts.http_bodies import ErrorResponse
from shared.contracts.states import RESERVATION_ID, Contract
from shared.domain.api_errors import ApiError
from shared.domain.booking import Reservation
from shared.domain.errors import ReservationInvalid, TransientError
from shared.domain.ids import reservation_id_of
from shared.domain.models import Payment
from shared.observability import act_as, bind, count, log_failure, logger
from shared.settings import settings

OPERATORS = "operators"


@dataclass(frozen=True)
class Caller:
    """Who sends the request, from the verified claims only, never from a header."""

    customer_id: str | None
    operator: bool
    sub: str = ""

    @property
    def name(self) -> str:
        """What is recorded about the caller: the person's id, never an e-mail address."""
        return f"operator:{self.sub}" if self.operator else f"guest:{self.customer_id}"

    def may_see(self, customer_id: object) -> bool:
        """Whether this is an operator, or the customer of a booking."""
        return self.operator or (self.customer_id is not None and self.customer_id == customer_id)


def identify_caller() -> Caller:
    """The caller. Raises UNAUTHENTICATED."""
    authorizer = BaseRouter.current_event.raw_event["requestContext"].get("authorizer") or {}
    claims = authorizer.get("claims")
    if not claims:
        raise ApiError("UNAUTHENTICATED")
    groups = str(claims.get("cognito:groups") or "").split(",")
    caller = Caller(
        customer_id=claims.get(settings().customer_id_claim) or None,
        operator=OPERATORS in (group.strip() for group in groups),
        sub=str(claims.get("sub") or "unknown"),
    )
    act_as(caller.name)
    return caller


def require_operator(caller: Caller) -> None:
    """Raises FORBIDDEN."""
    if not caller.operator:
        raise ApiError("FORBIDDEN")


def parse_reservation_id(given: str) -> str:
    """The reservation id from a path that holds it or the payment id. Raises INVALID_REQUEST."""
    reservation_id = reservation_id_of(given)
    if RESERVATION_ID.fullmatch(reservation_id) is None:
        raise ApiError("INVALID_REQUEST", details={"id": "Must be a reservation id or a payment id."})
    return reservation_id


def parse_body[Request: Contract](model: type[Request]) -> Request:
    """The body as its model; no body is as good as an empty object. Raises INVALID_REQUEST."""
    event = BaseRouter.current_event
    return _parsed(lambda: model.model_validate_json(event.decoded_body or "{}"))


def parse_query[Query: BaseModel](model: type[Query]) -> Query:
    """The query parameters as their model. Raises INVALID_REQUEST."""
    return _parsed(lambda: model.model_validate(BaseRouter.current_event.query_string_parameters))


def _parsed[Request](parse: Callable[[], Request]) -> Request:
    try:
        return parse()
    except ValueError as error:
        raise ApiError("INVALID_REQUEST", details=describe_errors(error)) from error


def find_booking(reservation_id: str, caller: Caller) -> tuple[Reservation, Payment | None]:
    """The reservation and its payment, if one was started. Raises NOT_FOUND, RESERVATION_INVALID.

    Somebody else's booking gets the same answer as one that does not exist. For an operator, a reservation that the
    platform deleted counts as cancelled: its money may still have to be returned.
    """
    reservation, payment = read_booking(reservation_id, caller)
    if reservation is None and payment is not None and caller.operator:
        reservation = bookings.deleted_reservation(payment)
    if reservation is None or not caller.may_see(reservation.customer_id):
        raise ApiError("NOT_FOUND")
    return reservation, payment


def read_booking(reservation_id: str, caller: Caller) -> tuple[Reservation | None, Payment | None]:
    """The reservation, unless it is deleted, and its payment, whoever asks. Raises NOT_FOUND, RESERVATION_INVALID."""
    bind(reservation_id=reservation_id)
    try:
        return bookings.read_booking_items(reservation_id)
    except ReservationInvalid as error:
        logger.error("reservation invalid", problems=error.problems)
        if not caller.may_see(error.customer_id):
            raise ApiError("NOT_FOUND") from error
        raise ApiError("RESERVATION_INVALID", details=error.problems) from error


def json_response(status: int, body: Contract, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(
        status_code=status,
        content_type="application/json",
        body=body.model_dump_json(exclude_none=True),
        headers={**(headers or {})},
    )


def error_response(error: ApiError) -> Response[str]:
    """The answer in the one error shape; it is logged and counted."""
    answer = error.answer
    logger.info("refused", error_code=answer.code, reason=answer.reason, details=error.details)
    count("ApiErrors", error_code=answer.code)
    headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
    return json_response(answer.status, ErrorResponse.of(error), headers)


def answer(router: Router, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a request by the routes of a function; every answer carries the gateway's request id."""
    answered = _app(router).resolve(event, context)
    answered.setdefault("multiValueHeaders", {})["x-correlation-id"] = [event["requestContext"]["requestId"]]
    return answered


@functools.cache
def _app(router: Router) -> APIGatewayRestResolver:
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
