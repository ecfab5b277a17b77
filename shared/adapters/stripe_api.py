"""Stripe, in our verbs: the only module that imports its SDK.

Every call is one request with the time-outs and retries below, so that 20 s bound it; errors are translated by
`_ERRORS`, once. Amounts are integer cents.
"""

import functools
import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import stripe

from shared.adapters.secrets import refreshed, secret
from shared.domain.errors import SecretUnavailable, StripeRefused, StripeUnavailable
from shared.domain.models import CheckoutSession, PaymentIntent, Reservation, StripeRefund
from shared.observability import count, logger
from shared.settings import settings

if TYPE_CHECKING:
    from stripe.params import EventListParams

API_VERSION = "2026-10-28.endive"
MAX_LISTED = 100  # a page of Stripe's lists; a booking has a handful of refunds
CONNECT_TIMEOUT, READ_TIMEOUT, RETRIES = 2, 8, 1  # seconds, seconds, further tries

# The PaymentIntent of a session with the charge that took the money, in one request.
EXPAND = ["payment_intent.latest_charge"]

stripe.enable_telemetry = False

# What each of the SDK's errors means for us: True = ask again later, False = the request is wrong. APIError is decided
# by its status. A test fails on an SDK class that stands in neither set. A refused key is ours to mend while the hold
# is kept, so it counts as an outage, and is logged as an error.
OURS_TO_FIX: frozenset[type[stripe.StripeError]] = frozenset({stripe.AuthenticationError, stripe.PermissionError})
TRANSIENT: frozenset[type[stripe.StripeError]] = frozenset(
    {stripe.APIConnectionError, stripe.RateLimitError, *OURS_TO_FIX}
)
TRANSIENT_STATUS = frozenset({409, 424, 429})


def checkout_parameters(
    reservation: Reservation,
    *,
    payment_id: str,
    attempt_key: str,
    expires_at: datetime,
    success_url: str,
    cancel_url: str,
) -> str:
    """The parameters of a session as the JSON text that is stored and sent, so that a repeat sends the same."""
    metadata = {
        "reservation_id": reservation.reservation_id,
        "payment_id": payment_id,
        "attempt": attempt_key,
    }
    parameters: dict[str, Any] = {
        "mode": "payment",
        "submit_type": "book",
        # A filter on what the dashboard offers; `payment_method_types` is gone since 2026-09-30.
        "allowed_payment_method_types": ["card"],
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": reservation.total_amount,
                    "product_data": {
                        "name": f"Stay {reservation.check_in} to {reservation.check_out}",
                        "description": f"Reservation {reservation.reservation_id}",
                    },
                },
            }
        ],
        "client_reference_id": reservation.reservation_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "expires_at": int(expires_at.timestamp()),
        "locale": "auto",
        "success_url": success_url,
        "cancel_url": cancel_url,
        "adaptive_pricing": {"enabled": False},
    }
    if reservation.customer_email:
        parameters["customer_email"] = reservation.customer_email
    return json.dumps(parameters, ensure_ascii=False)


def create_checkout_session(parameters: str, *, idempotency_key: str) -> CheckoutSession:
    """Create the session of stored parameters, or get the one that this key made before.

    Raises StripeUnavailable (ask again, same key) or StripeRefused (this key has no session).
    """
    return _session(
        _call(
            "checkout.sessions.create",
            lambda client: client.v1.checkout.sessions.create(
                params=json.loads(parameters), options={"idempotency_key": idempotency_key}
            ),
        )
    )


def retrieve_checkout_session(session_id: str) -> CheckoutSession:
    """The session with its PaymentIntent and charge. Raises StripeUnavailable or StripeRefused."""
    return _session(
        _call(
            "checkout.sessions.retrieve",
            lambda client: client.v1.checkout.sessions.retrieve(session_id, params={"expand": EXPAND}),
        )
    )


def expire_checkout_session(session_id: str) -> CheckoutSession:
    """Close the session for the guest, and say how it ended.

    Stripe expires open sessions only and answers 400 without a code for every other; then the session itself says
    what it is. Raises StripeUnavailable or StripeRefused.
    """
    try:
        return _session(
            _call(
                "checkout.sessions.expire",
                lambda client: client.v1.checkout.sessions.expire(session_id, params={"expand": EXPAND}),
            )
        )
    except StripeRefused:
        return retrieve_checkout_session(session_id)


def retrieve_payment_intent(pi: str) -> PaymentIntent:
    """The PaymentIntent with its charge. Raises StripeUnavailable or StripeRefused."""
    return _payment_intent(
        _call(
            "payment_intents.retrieve",
            lambda client: client.v1.payment_intents.retrieve(pi, params={"expand": ["latest_charge"]}),
        )
    )


def create_refund(*, pi: str, amount: int, metadata: dict[str, str], idempotency_key: str) -> StripeRefund:
    """Give `amount` cents of a PaymentIntent back. Raises StripeUnavailable (same key again) or StripeRefused."""
    return _refund(
        _call(
            "refunds.create",
            lambda client: client.v1.refunds.create(
                params={
                    "payment_intent": pi,
                    "amount": amount,
                    "reason": "requested_by_customer",
                    "metadata": metadata,
                },
                options={"idempotency_key": idempotency_key},
            ),
        )
    )


def list_refunds(pi: str, refund_id: str) -> list[StripeRefund]:
    """The refunds of a PaymentIntent that are this refund's (metadata), newest first.

    Raises StripeUnavailable or StripeRefused.
    """
    answer = _call(
        "refunds.list", lambda client: client.v1.refunds.list(params={"payment_intent": pi, "limit": MAX_LISTED})
    )
    refunds = [_refund(fields) for fields in answer["data"]]
    return [refund for refund in refunds if refund.metadata.get("refund_id") == refund_id]


def undelivered_events(since: datetime, types: Collection[str]) -> list[dict[str, Any]]:
    """Every event of these types (20 at most) since then that no endpoint of ours has acknowledged, oldest first.

    They are as the webhook would get them. Raises StripeUnavailable or StripeRefused.
    """
    params: EventListParams = {
        "delivery_success": False,
        "created": {"gte": int(since.timestamp())},
        "types": sorted(types),
        "limit": MAX_LISTED,
    }
    events: list[dict[str, Any]] = []
    more = True
    while more:
        # What we have processed stays undelivered to Stripe: on the first page alone nothing old would ever be found.
        page = _call("events.list", lambda client: client.v1.events.list(params=params))
        events += page["data"]
        more = page["has_more"]
        if more:
            params["starting_after"] = events[-1]["id"]
    return events[::-1]


def _call[Answer: stripe.StripeObject](operation: str, call: Callable[[stripe.StripeClient], Answer]) -> dict[str, Any]:
    parameter = settings().stripe_secret_key_parameter
    try:
        key = secret(parameter)
        try:
            answer = call(_client(key, settings().stripe_api_base))
        except stripe.AuthenticationError:
            rolled = refreshed(parameter)
            if rolled is None or rolled == key:
                raise
            answer = call(_client(rolled, settings().stripe_api_base))
    except SecretUnavailable as error:
        raise StripeUnavailable(str(error)) from error
    except stripe.StripeError as error:
        raise _translated(operation, error) from error
    logger.info("stripe", operation=operation, stripe_id=getattr(answer, "id", None), stripe_request_id=_id_of(answer))
    fields: dict[str, Any] = answer.to_dict()
    return fields


def _id_of(answer: stripe.StripeObject) -> str | None:
    response = answer.last_response
    return None if response is None else response.request_id


@functools.cache
def _client(key: str, api_base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)),
        base_addresses={"api": api_base},
    )


def _translated(operation: str, error: stripe.StripeError) -> StripeUnavailable | StripeRefused:
    status = error.http_status
    code = error.error.code if error.error is not None else error.code
    param = error.error.param if error.error is not None else None
    replayed = (error.headers or {}).get("Idempotent-Replayed", "").lower() == "true"
    unread = status is None or status < HTTPStatus.BAD_REQUEST  # no answer, or one that the SDK could not read
    broken = status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR and not replayed
    transient = type(error) in TRANSIENT or (
        type(error) is stripe.APIError and (unread or broken or status in TRANSIENT_STATUS)
    )
    log = logger.error if type(error) in OURS_TO_FIX or not transient else logger.warning
    # Stripe's message may quote what the guest typed; its class, codes and request id are enough to find it there.
    log(
        "stripe refused" if not transient else "stripe unavailable",
        operation=operation,
        stripe_error=type(error).__name__,
        stripe_code=code,
        stripe_param=param,
        stripe_status=status,
        stripe_request_id=error.request_id,
    )
    count("StripeErrors", operation=operation, kind="unavailable" if transient else "refused")
    told = f"{operation}: {type(error).__name__}, status {status}, code {code}, request {error.request_id}"
    return StripeUnavailable(told) if transient else StripeRefused(told, code=code, param=param)


def _session(fields: dict[str, Any]) -> CheckoutSession:
    intent = fields.get("payment_intent")
    return CheckoutSession(
        id=fields["id"],
        status=fields["status"],
        payment_status=fields["payment_status"],
        url=fields.get("url"),
        expires_at=datetime.fromtimestamp(fields["expires_at"], UTC),
        payment_intent=_payment_intent(intent) if isinstance(intent, dict) else None,
    )


def _payment_intent(fields: dict[str, Any]) -> PaymentIntent:
    charge = fields.get("latest_charge")
    declined = fields.get("last_payment_error") or {}
    return PaymentIntent(
        id=fields["id"],
        status=fields["status"],
        amount_received=fields["amount_received"],
        currency=fields["currency"],
        charge=charge["id"] if isinstance(charge, dict) else charge,
        captured_at=datetime.fromtimestamp(charge["created"], UTC) if isinstance(charge, dict) else None,
        decline_code=declined.get("decline_code") or declined.get("code"),
        decline_message=declined.get("message"),
        metadata=fields.get("metadata") or {},
    )


def _refund(fields: dict[str, Any]) -> StripeRefund:
    return StripeRefund(
        id=fields["id"],
        status=fields["status"],
        amount=fields["amount"],
        failure_reason=fields.get("failure_reason"),
        metadata=fields.get("metadata") or {},
    )
