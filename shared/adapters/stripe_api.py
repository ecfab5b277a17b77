"""Stripe: the only module that imports its SDK.

The time-outs and the single retry below limit every call to 20 s. `_translate` turns each of the SDK's errors into
StripeUnavailable (a retry may succeed) or StripeRefused (the request is wrong). Amounts are integer cents.
"""

import functools
import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import stripe

from shared.adapters.secrets import STRIPE_KEY, refreshed, secret
from shared.contracts.stripe_objects import StripeDisputeObject
from shared.domain.errors import SecretUnavailable, StripeRefused, StripeUnavailable
from shared.domain.secret_shapes import clean_secret
from shared.domain.stripe_values import CheckoutSession, PaymentIntent, StripeRefund
from shared.observability import count, logger
from shared.settings import reporting_settings, settings
from shared.start_up import at_start

if TYPE_CHECKING:
    from stripe import RequestOptions, V1Services
    from stripe.params import (
        DisputeListParams,
        EventListParams,
        PaymentIntentRetrieveParams,
        RefundCreateParams,
        RefundListParams,
    )
    from stripe.params.checkout import SessionExpireParams, SessionListParams, SessionRetrieveParams

API_VERSION = "2026-10-28.endive"
MAX_LISTED = 100  # the size of a page; a booking has a handful of refunds
CONNECT_TIMEOUT, READ_TIMEOUT, RETRIES = 2, 8, 1  # seconds, seconds, further tries

# Read a session with its PaymentIntent, its charge and what was refunded of it in one request.
EXPAND_INTENT = ["latest_charge.refunds"]
EXPAND = [f"payment_intent.{field}" for field in EXPAND_INTENT]

stripe.enable_telemetry = False

# Errors that a retry may solve; an APIError is one of them depending on its status, and every other class is a refusal.
# A refused API key is ours to fix while the hold is kept, so it counts as an outage, and is logged as an error.
OURS_TO_FIX: frozenset[type[stripe.StripeError]] = frozenset({stripe.AuthenticationError, stripe.PermissionError})
TRANSIENT: frozenset[type[stripe.StripeError]] = frozenset(
    {stripe.APIConnectionError, stripe.RateLimitError, *OURS_TO_FIX}
)
TRANSIENT_STATUS = frozenset({409, 424, 429})


def create_checkout_session(parameters: str, *, idempotency_key: str) -> CheckoutSession:
    """Create a session with stored parameters, or return the one that was created with this key before.

    Raises StripeUnavailable (retry with the same key) or StripeRefused (no session exists for this key).
    """
    params: Any = json.loads(parameters)
    options = _options(idempotency_key)
    return checkout_session(
        call("checkout.sessions.create", lambda v1: v1.checkout.sessions.create(params=params, options=options))
    )


def retrieve_checkout_session(session_id: str) -> CheckoutSession:
    """The session with its PaymentIntent and charge. Raises StripeUnavailable or StripeRefused."""
    params: SessionRetrieveParams = {"expand": EXPAND}
    return checkout_session(
        call("checkout.sessions.retrieve", lambda v1: v1.checkout.sessions.retrieve(session_id, params=params))
    )


def expire_checkout_session(session_id: str) -> CheckoutSession:
    """Close the session for the guest, and return how it ended.

    Stripe answers 400 without a code unless the session is open; then the session is read instead.
    Raises StripeUnavailable or StripeRefused.
    """
    params: SessionExpireParams = {"expand": EXPAND}
    try:
        return checkout_session(
            call("checkout.sessions.expire", lambda v1: v1.checkout.sessions.expire(session_id, params=params))
        )
    except StripeRefused:
        return retrieve_checkout_session(session_id)


def list_checkout_sessions(pi: str) -> list[CheckoutSession]:
    """The sessions that a PaymentIntent belongs to, without it; none if it was made in another way.

    Raises StripeUnavailable or StripeRefused.
    """
    params: SessionListParams = {"payment_intent": pi}
    listed = call("checkout.sessions.list", lambda v1: v1.checkout.sessions.list(params=params))
    return [checkout_session(fields) for fields in listed["data"]]


def retrieve_payment_intent(pi: str) -> PaymentIntent:
    """The PaymentIntent with its charge and refunds. Raises StripeUnavailable or StripeRefused."""
    params: PaymentIntentRetrieveParams = {"expand": EXPAND_INTENT}
    return _payment_intent(call("payment_intents.retrieve", lambda v1: v1.payment_intents.retrieve(pi, params=params)))


def create_refund(*, pi: str, amount: int, metadata: dict[str, str], idempotency_key: str) -> StripeRefund:
    """Refund `amount` cents of a PaymentIntent.

    Raises StripeUnavailable (retry with the same key) or StripeRefused.
    """
    params: RefundCreateParams = {
        "payment_intent": pi,
        "amount": amount,
        "reason": "requested_by_customer",
        "metadata": {"stack": settings().stack, **metadata},
    }
    options = _options(idempotency_key)
    return _refund(call("refunds.create", lambda v1: v1.refunds.create(params=params, options=options)), pi)


def list_refunds(pi: str, refund_id: str) -> list[StripeRefund]:
    """The PaymentIntent's refunds that carry this refund id in their metadata, newest first.

    Raises StripeUnavailable or StripeRefused.
    """
    params: RefundListParams = {"payment_intent": pi, "limit": MAX_LISTED}
    listed = call("refunds.list", lambda v1: v1.refunds.list(params=params))
    refunds = [_refund(fields, pi) for fields in listed["data"]]
    return [refund for refund in refunds if refund.metadata.get("refund_id") == refund_id]


def list_disputes(pi: str) -> list[StripeDisputeObject]:
    """The PaymentIntent's disputes and inquiries. Raises StripeUnavailable or StripeRefused."""
    params: DisputeListParams = {"payment_intent": pi, "limit": MAX_LISTED}
    listed = call("disputes.list", lambda v1: v1.disputes.list(params=params))
    return [_dispute(fields, pi) for fields in listed["data"]]


def undelivered_events(
    since: datetime, until: datetime, types: Collection[str], *, older_than: str | None = None
) -> tuple[list[dict[str, Any]], bool]:
    """One page of the events of these types (at most 20) that our endpoint has not acknowledged, and whether it is all.

    They were created in whole seconds from `since` and before `until`. The page has the newest of them, or those before
    the event `older_than`, oldest first. Each has the form in which the webhook receives it.
    Raises StripeUnavailable or StripeRefused.
    """
    params: EventListParams = {
        "delivery_success": False,
        "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
        "types": sorted(types),
        "limit": MAX_LISTED,
    }
    if older_than is not None:
        params["starting_after"] = older_than
    page = call("events.list", lambda v1: v1.events.list(params=params))
    return page["data"][::-1], not page["has_more"]


def _options(idempotency_key: str) -> "RequestOptions":
    """The key begins with the stack: another one on the account may have the same reservation ids."""
    return {"idempotency_key": f"{settings().stack}:{idempotency_key}"}


def call[Answer: stripe.StripeObject](operation: str, request: "Callable[[V1Services], Answer]") -> dict[str, Any]:
    """Make one request and return its answer."""
    try:
        answer = _request(request)
    except SecretUnavailable as error:
        raise StripeUnavailable(str(error)) from None
    # Without the causes, which may quote the key or the guest's data.
    except stripe.StripeError as error:
        raise _translate(operation, error) from None
    except (AttributeError, TypeError, ValueError):  # the SDK fails on answers that are not Stripe's
        raise _translate(operation, stripe.APIError()) from None
    request_id = None if answer.last_response is None else answer.last_response.request_id
    logger.info("stripe", operation=operation, stripe_id=getattr(answer, "id", None), stripe_request_id=request_id)
    fields: dict[str, Any] = answer.to_dict()
    return fields


def _request[Answer: stripe.StripeObject](call: "Callable[[V1Services], Answer]") -> Answer:
    """A refused API key is read again and tried once more. Raises TypeError if the answer is not Stripe's."""
    parameter = STRIPE_KEY.get() or settings().stripe_secret_key_parameter
    key = secret(parameter)
    try:
        answer = call(_client(key, settings().stripe_api_base).v1)
    except (stripe.AuthenticationError, SecretUnavailable):
        rotated = refreshed(parameter)
        if rotated is None or rotated == key:
            raise
        answer = call(_client(rotated, settings().stripe_api_base).v1)
    if not isinstance(answer, stripe.StripeObject) or "object" not in answer:
        raise TypeError("not an object of Stripe's")
    return answer


@at_start
def connect_to_stripe() -> None:
    """Read the API key, and open the connection that the first request will use: Stripe answers without a key, too."""
    parameter = reporting_settings().stripe_reporting_key_parameter or settings().stripe_secret_key_parameter
    client = _client(secret(parameter), settings().stripe_api_base)
    # The SDK imports these when they are first used.
    _ = client.v1.checkout.sessions, client.v1.refunds, stripe.checkout.Session, stripe.PaymentIntent, stripe.Refund
    _http_client().request("GET", settings().stripe_api_base, {})


@functools.cache
def _http_client() -> stripe.HTTPClient:
    return stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))


@functools.cache
def _client(key: str, api_base: str) -> stripe.StripeClient:
    try:
        clean_secret("secret_key", key)
    except ValueError as error:
        raise SecretUnavailable(str(error)) from None
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        max_network_retries=RETRIES,
        http_client=_http_client(),
        base_addresses={"api": api_base},
    )


def _translate(operation: str, error: stripe.StripeError) -> StripeUnavailable | StripeRefused:
    status = error.http_status
    code = error.error.code if error.error is not None else error.code
    param = error.error.param if error.error is not None else None
    replayed = (error.headers or {}).get("Idempotent-Replayed", "").lower() == "true"
    # No answer, or not one of Stripe's, such as a page of HTML from a proxy: its status means nothing.
    unreadable = status is None or status < HTTPStatus.BAD_REQUEST or error.error is None
    broken = status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR and not replayed
    transient = type(error) in TRANSIENT or (
        type(error) is stripe.APIError and (unreadable or broken or status in TRANSIENT_STATUS)
    )
    log = logger.error if type(error) in OURS_TO_FIX or not transient else logger.warning
    # Stripe's message may quote what the guest typed. Class, codes and request id are enough to find it at Stripe.
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
    message = f"{operation}: {type(error).__name__}, status {status}, code {code}, request {error.request_id}"
    return StripeUnavailable(message) if transient else StripeRefused(message, code=code, param=param)


def checkout_session(fields: dict[str, Any]) -> CheckoutSession:
    """A session as Stripe describes it, with its PaymentIntent where that is expanded."""
    intent = fields.get("payment_intent")
    return CheckoutSession(
        id=fields["id"],
        status=fields["status"],
        payment_status=fields["payment_status"],
        url=fields.get("url"),
        expires_at=datetime.fromtimestamp(fields["expires_at"], UTC),
        payment_intent=_payment_intent(intent) if isinstance(intent, dict) else None,
        metadata=fields.get("metadata") or {},
    )


def _payment_intent(fields: dict[str, Any]) -> PaymentIntent:
    charge = fields.get("latest_charge")
    expanded: dict[str, Any] = charge if isinstance(charge, dict) else {}
    declined = fields.get("last_payment_error") or {}
    return PaymentIntent(
        id=fields["id"],
        status=fields["status"],
        amount_received=fields["amount_received"],
        currency=fields["currency"],
        charge=expanded.get("id", charge),
        captured_at=datetime.fromtimestamp(expanded["created"], UTC) if expanded else None,
        decline_code=declined.get("decline_code") or declined.get("code"),
        decline_message=declined.get("message"),
        metadata=fields.get("metadata") or {},
        refunds=tuple(_refund(refund, fields["id"]) for refund in (expanded.get("refunds") or {}).get("data", ())),
        disputed=expanded.get("disputed", False),
    )


def _refund(fields: dict[str, Any], pi: str) -> StripeRefund:
    return StripeRefund(
        id=fields["id"],
        payment_intent=pi,  # Stripe may leave it out
        status=fields["status"],
        amount=fields["amount"],
        failure_reason=fields.get("failure_reason"),
        metadata=fields.get("metadata") or {},
    )


def _dispute(fields: dict[str, Any], pi: str) -> StripeDisputeObject:
    return StripeDisputeObject.model_validate({**fields, "payment_intent": pi})  # as above
