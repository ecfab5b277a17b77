"""Objects with the fields of the SDK's types, and the expansion of the ids in them."""

import copy
import secrets
import typing
from collections.abc import Callable, Iterable
from functools import cache
from types import NoneType

import stripe
from stripe import (
    BalanceTransaction,
    Charge,
    Dispute,
    Event,
    PaymentIntent,
    Payout,
    Refund,
    StripeObject,
    WebhookEndpoint,
)
from stripe.checkout import Session
from stripe.radar import EarlyFraudWarning

from local.fake_stripe.stripe_errors import Json, ParameterError

API_VERSION = stripe.api_version
OBJECT_TYPES: dict[str, type[StripeObject]] = {
    str(kind.OBJECT_NAME): kind
    for kind in (
        Session,
        PaymentIntent,
        Charge,
        Refund,
        Dispute,
        EarlyFraudWarning,
        BalanceTransaction,
        Payout,
        Event,
        WebhookEndpoint,
    )
}
# Optional in the SDK because Stripe leaves them out: they appear on request or in one response only.
_LEFT_OUT = {
    "checkout.session": {"line_items", "client_secret"},
    "charge": {"refunds", "authorization_code", "level3"},
    "event": {"account", "context"},
    "webhook_endpoint": {"secret", "deleted"},
}
# Left out of the object unless requested; stored under the object's id and this name.
_INCLUDED = {"checkout.session": {"line_items"}, "charge": {"refunds"}}
_MAX_EXPAND_DEPTH = 4


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def build(kind: str, **fields: object) -> Json:
    """An object with every field that the SDK declares: null where none is given and null is allowed.

    Raises TypeError for missing and unknown fields.
    """
    nullable, required = _fields(kind)
    given = {"object": kind, "livemode": False, **fields} if "livemode" in required else {"object": kind, **fields}
    if missing := required - given.keys():
        raise TypeError(f"{kind} without {', '.join(sorted(missing))}")
    if unknown := given.keys() - required - nullable - _LEFT_OUT.get(kind, set()):
        raise TypeError(f"{kind} has no {', '.join(sorted(unknown))}")
    return dict.fromkeys(sorted(nullable)) | given


@cache
def _fields(kind: str) -> tuple[frozenset[str], frozenset[str]]:
    hints = {name: hint for name, hint in OBJECT_TYPES[kind].__annotations__.items() if name != "OBJECT_NAME"}
    nullable = {name for name, hint in hints.items() if NoneType in typing.get_args(hint)} - _LEFT_OUT.get(kind, set())
    required = hints.keys() - nullable - _LEFT_OUT.get(kind, set())
    return frozenset(nullable), frozenset(required)


@cache
def _expandable(kind: str) -> dict[str, str | None]:
    """Fields that contain an id and may contain the object, with its kind (None if the fake does not store it).

    The SDK declares them as a union of text and a forward reference.
    """
    kinds = {object_type.__name__: name for name, object_type in OBJECT_TYPES.items()}
    fields: dict[str, str | None] = {}
    for name, hint in OBJECT_TYPES[kind].__annotations__.items():
        args = typing.get_args(hint)
        references = [arg.__forward_arg__ for arg in args if isinstance(arg, typing.ForwardRef)]
        if str in args and references:
            fields[name] = kinds.get(references[0])
    return fields


def check_expansions(kind: str, paths: Iterable[str], *, listed: bool) -> None:
    """Raises ParameterError for what cannot be expanded, before anything is executed."""
    for path in paths:
        names = path.split(".")
        if len(names) > _MAX_EXPAND_DEPTH:
            raise ParameterError(
                f"You cannot expand more than {_MAX_EXPAND_DEPTH} levels of a property. Property: {path}",
                param="expand",
            )
        if listed and (names.pop(0) != "data" or not names):
            raise ParameterError(f"This property cannot be expanded ({path}).", param="expand")
        at: str | None = kind
        for position, name in enumerate(names):
            if at and name in _INCLUDED.get(at, ()) and position == len(names) - 1:
                continue
            if at is None or name not in _expandable(at):
                raise ParameterError(f"This property cannot be expanded ({path}).", param="expand")
            at = _expandable(at)[name]


def expand(answer: Json, paths: Iterable[str], fetch: Callable[[str], Json | None]) -> Json:
    """A copy of the answer with the ids at these paths (`payment_intent`, `data.charge`) replaced by the objects."""
    answer = copy.deepcopy(answer)
    for path in paths:
        names = path.split(".")
        if answer["object"] == "list":
            for item in answer["data"]:
                _expand_one(item, names[1:], fetch)
        else:
            _expand_one(answer, names, fetch)
    return answer


def _expand_one(target: Json, names: list[str], fetch: Callable[[str], Json | None]) -> None:
    for name in names:
        if name in _INCLUDED.get(target["object"], ()):
            included = fetch(f"{target['id']}/{name}") or {}
            target[name] = {key: value for key, value in included.items() if key != "id"}
            return
        value = target[name]
        if isinstance(value, str):
            # What the fake does not store remains an id.
            value = copy.deepcopy(fetch(value))
            if value is None:
                return
            target[name] = value
        if value is None:
            return
        target = value
