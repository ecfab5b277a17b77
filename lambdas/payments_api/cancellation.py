"""POST …/cancel: cancel an unpaid booking.

Changes: marks the cancel request on the payment item, then starts the booking's execution or resumes its wait.
Safe to run twice: the request stays as it was first made, and a token resumes one wait only.
"""

from datetime import UTC, datetime

from aws_lambda_powertools.event_handler import Response

from lambdas.payments_api import polling
from lambdas.payments_api.return_urls import return_urls
from lambdas.payments_api.router import router
from lambdas.payments_api.status import accepted, payment_status, unstarted_payment
from shared.adapters import payment_items, step_functions
from shared.contracts.http_bodies import CheckoutSessionRequest, EmptyRequest
from shared.domain.api_errors import ApiError
from shared.domain.booking import Reservation
from shared.domain.models import Payment
from shared.services import http_api
from shared.services.http_api import Caller


@router.post("/payments/<payment_or_reservation_id>/cancel")
def cancel(payment_or_reservation_id: str) -> Response[str]:
    """Cancel an unpaid booking: 200 when its dates are released, 202 while that is under way, 409 when it is paid."""
    caller = http_api.identify_caller()
    reservation_id = http_api.parse_reservation_id(payment_or_reservation_id)
    http_api.parse_body(EmptyRequest)
    reservation, payment = http_api.find_booking(reservation_id, caller)
    now = datetime.now(UTC)
    if payment is None and reservation.takes_place:
        raise ApiError("ALREADY_PAID")
    if payment is None and reservation.status != "pending":
        return http_api.json_response(200, payment_status(reservation, payment, now))
    if payment is None:
        urls = return_urls(CheckoutSessionRequest(reservation_id=reservation_id))
        payment = unstarted_payment(reservation, urls, now)
    if payment_items.request_cancel(payment, by=caller.name, now=now) and payment.token_sequence is None:
        step_functions.start_payment(payment)
    return _signal_until_released(reservation_id, caller)


def _signal_until_released(reservation_id: str, caller: Caller) -> Response[str]:
    """Resume the wait that the workflow is in, or comes to next, and wait for the release."""
    signalled = False

    def signal_and_read() -> tuple[Reservation, Payment | None]:
        nonlocal signalled
        reservation, payment = http_api.find_booking(reservation_id, caller)
        if payment is not None and payment.status == "pending" and payment.task_token and not signalled:
            signalled = step_functions.signal(payment.task_token, "cancel")
        return reservation, payment

    reservation, payment = polling.poll(
        signal_and_read, until=lambda booking: booking[1] is not None and booking[1].status != "pending"
    )
    if payment is None or payment.status == "pending":
        return accepted(reservation, payment)
    if payment.status != "expired" or reservation.takes_place:
        raise ApiError("ALREADY_PAID")
    return http_api.json_response(200, payment_status(reservation, payment, datetime.now(UTC)))
