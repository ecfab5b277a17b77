"""One event of every type in Stripe's SDK, with objects of the SDK's own fields, in several API versions."""

import typing
from decimal import Decimal
from functools import cache
from importlib import import_module
from types import NoneType, UnionType
from typing import Any

import stripe
from stripe import StripeObject
from stripe._object_classes import OBJECT_CLASSES

from tests.harness.builders import NOW

type Json = dict[str, Any]

EVENT_TYPES: tuple[str, ...] = typing.get_args(stripe.Event.__annotations__["type"])
PINNED, RECENT, OLD = stripe.api_version, "2024-06-20", "2020-08-27"
API_VERSIONS = (PINNED, RECENT, OLD)

# What the objects that we read did not have yet, and what they had besides (Stripe's changelog; the SDK's versions
# 16.1 and 10.12). Until 2022-08-01 a PaymentIntent held its charges, a charge its refunds.
ADDED_SINCE_RECENT: dict[str, set[str]] = {
    "payment_intent": {
        *("allowed_payment_method_types", "customer_account", "excluded_payment_method_types", "hooks"),
        *("managed_payments", "payment_details", "payment_record", "presentment_details"),
    },
    "charge": {"presentment_details"},
    "refund": {"customer", "customer_account", "payment_method", "pending_reason", "presentment_details"},
    "dispute": {"enhanced_eligibility_types", "intended_submission_method"},
    "checkout.session": {
        *("adaptive_pricing", "allowed_payment_method_types", "branding_settings", "collected_information"),
        *("customer_account", "discounts", "excluded_payment_method_types", "integration_identifier"),
        *("managed_payments", "name_collection", "optional_items", "origin_context", "permissions"),
        *("presentment_details", "wallet_options"),
    },
}
REMOVED_SINCE_RECENT: dict[str, Json] = {
    "payment_intent": {"invoice": None},
    "charge": {"invoice": None},
    "checkout.session": {"shipping_details": None, "payment_method_types": ["card"]},
}
ADDED_SINCE_OLD: dict[str, set[str]] = {
    "payment_intent": {"latest_charge", "amount_details", "automatic_payment_methods"},
    "refund": {"destination_details", "instructions_email", "next_action"},
    "dispute": {"payment_method_details", "network_reason_code"},
    "checkout.session": {"custom_fields", "custom_text", "currency_conversion", "saved_payment_method_options"},
}


def kind_of(event_type: str) -> str:
    """The kind of object in an event of this type (`charge.dispute.created` → `dispute`)."""
    kinds = {kind.replace("_", "."): kind for kind in OBJECT_CLASSES}
    names = event_type.rpartition(".")[0].replace("_", ".").split(".")
    return next(kinds[name] for n in range(len(names)) if (name := ".".join(names[n:])) in kinds)


def sample_event(event_type: str, event_id: str, *, version: str, full: bool, **fields: Any) -> Json:
    """An event whose object has the fields of an API version; `full` fills those that may be null.

    `fields` replace those that the object has, and are left out otherwise.
    """
    kind = kind_of(event_type)
    target = sample_object(kind, full=full)
    target |= {name: value for name, value in fields.items() if name in target}
    return {
        "id": event_id,
        "object": "event",
        "api_version": version,
        "created": int(NOW.timestamp()),
        "data": {"object": _in_version(kind, target, version)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }


def sample_object(kind: str, *, full: bool) -> Json:
    return dict(_sample(_class_of(kind), full=full, depth=0))


@cache
def _class_of(kind: str) -> Any:
    module, name = OBJECT_CLASSES[kind]
    return getattr(import_module(module), name)


def _sample(hint: Any, *, full: bool, depth: int) -> Any:
    """A value of a type as the SDK declares it; a reference to another object is its id."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return args[0]
    if origin in {typing.Union, UnionType}:
        if NoneType in args and not full:
            return None
        return _sample(next(arg for arg in args if arg is not NoneType), full=full, depth=depth)
    if origin is list:
        return [_sample(args[0], full=full, depth=depth)] if full else []
    if isinstance(origin, type) and issubclass(origin, stripe.ListObject):
        return {"object": "list", "data": [], "has_more": False, "url": "/v1/list"}
    if isinstance(hint, type) and issubclass(hint, StripeObject) and depth < 6:  # the types of some refer to themselves
        fields = {name: of for name, of in hint.__annotations__.items() if name not in {"OBJECT_NAME", "deleted"}}
        return {name: _sample(of, full=full, depth=depth + 1) for name, of in fields.items()}
    simple = {str: "text", int: int(NOW.timestamp()), bool: False, float: 1.5, Decimal: "1.5"}
    return simple.get(hint, {} if isinstance(origin, type) else "id_1")


def _in_version(kind: str, target: Json, version: str) -> Json:
    if version == PINNED:
        return target
    older = {name: value for name, value in target.items() if name not in ADDED_SINCE_RECENT.get(kind, ())}
    older |= REMOVED_SINCE_RECENT.get(kind, {})
    if version == RECENT:
        return older
    charge = older.get("latest_charge")
    older = {name: value for name, value in older.items() if name not in ADDED_SINCE_OLD.get(kind, ())}
    nested = {"payment_intent": "charges", "charge": "refunds"}.get(kind)
    if nested is not None:
        data = [{"object": "charge", "id": charge}] if nested == "charges" and charge else []
        older[nested] = {"object": "list", "data": data, "has_more": False, "url": f"/v1/{nested}"}
    return older
