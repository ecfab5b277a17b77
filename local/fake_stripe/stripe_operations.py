"""The supported calls: path, name of the operation, the SDK's type of its parameters, and the function to run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stripe import params as p
from stripe.params import checkout

from local.fake_stripe import balance, checkout_sessions, lists, stripe_refunds, webhook_endpoints
from local.fake_stripe.account import Account
from local.fake_stripe.stripe_errors import Json


@dataclass(frozen=True)
class Route:
    """`run` gets the account, the checked parameters and the ids in the path; `kind` is the object that it returns."""

    method: str
    pattern: str
    operation: str
    kind: str
    params: Any
    run: Callable[..., Json]


def _retrieve(kind: str, account: Account, _params: Json, object_id: str) -> Json:
    return lists.retrieve(kind, account, object_id)


def _resource(path: str, operation: str, kind: str, retrieve: Any, list_: Any) -> list[Route]:
    """The routes to retrieve one object and to list all."""

    def list_all(account: Account, params: Json) -> Json:
        return lists.list_objects(kind, account, params, path)

    return [
        Route("GET", f"{path}/([^/]+)", f"{operation}.retrieve", kind, retrieve, partial(_retrieve, kind)),
        Route("GET", path, f"{operation}.list", kind, list_, list_all),
    ]


_SESSIONS, _ENDPOINTS = "/v1/checkout/sessions", "/v1/webhook_endpoints"

ROUTES = [
    Route(
        "POST",
        _SESSIONS,
        "checkout.sessions.create",
        "checkout.session",
        checkout.SessionCreateParams,
        checkout_sessions.create,
    ),
    Route(
        "POST",
        f"{_SESSIONS}/([^/]+)/expire",
        "checkout.sessions.expire",
        "checkout.session",
        checkout.SessionExpireParams,
        checkout_sessions.expire,
    ),
    *_resource(
        _SESSIONS, "checkout.sessions", "checkout.session", checkout.SessionRetrieveParams, checkout.SessionListParams
    ),
    *_resource(
        "/v1/payment_intents",
        "payment_intents",
        "payment_intent",
        p.PaymentIntentRetrieveParams,
        p.PaymentIntentListParams,
    ),
    *_resource("/v1/charges", "charges", "charge", p.ChargeRetrieveParams, p.ChargeListParams),
    Route("POST", "/v1/refunds", "refunds.create", "refund", p.RefundCreateParams, stripe_refunds.create),
    *_resource("/v1/refunds", "refunds", "refund", p.RefundRetrieveParams, p.RefundListParams),
    *_resource("/v1/disputes", "disputes", "dispute", p.DisputeRetrieveParams, p.DisputeListParams),
    Route(
        "GET",
        "/v1/balance_transactions",
        "balance_transactions.list",
        "balance_transaction",
        p.BalanceTransactionListParams,
        balance.list_transactions,
    ),
    *_resource("/v1/events", "events", "event", p.EventRetrieveParams, p.EventListParams),
    Route(
        "POST",
        _ENDPOINTS,
        "webhook_endpoints.create",
        "webhook_endpoint",
        p.WebhookEndpointCreateParams,
        webhook_endpoints.create,
    ),
    Route(
        "POST",
        f"{_ENDPOINTS}/([^/]+)",
        "webhook_endpoints.update",
        "webhook_endpoint",
        p.WebhookEndpointUpdateParams,
        webhook_endpoints.update,
    ),
    Route(
        "DELETE",
        f"{_ENDPOINTS}/([^/]+)",
        "webhook_endpoints.delete",
        "webhook_endpoint",
        p.WebhookEndpointDeleteParams,
        webhook_endpoints.delete,
    ),
    *_resource(
        _ENDPOINTS,
        "webhook_endpoints",
        "webhook_endpoint",
        p.WebhookEndpointRetrieveParams,
        p.WebhookEndpointListParams,
    ),
]
