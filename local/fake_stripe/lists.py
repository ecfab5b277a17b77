"""Retrieving and listing objects of any kind: newest first, pages by id, filters by equality and by time."""

import operator
from itertools import islice
from typing import Final

from local.fake_stripe.account import Account
from local.fake_stripe.stripe_errors import InvalidRequestError, Json, ParameterError

_DEFAULT_LIMIT, _MAX_LIMIT = 10, 100
_COMPARE: Final = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_PAGING = {"limit", "starting_after", "ending_before", "created", "expand"}


def retrieve(kind: str, account: Account, object_id: str) -> Json:
    return account.get(kind, object_id)


def list_objects(kind: str, account: Account, params: Json, url: str) -> Json:
    limit = params.get("limit", _DEFAULT_LIMIT)
    if not 1 <= limit <= _MAX_LIMIT:
        text = f"This value must be between 1 and {_MAX_LIMIT}."
        raise ParameterError(text, code="parameter_invalid_integer", param="limit")
    newest_first = account.all(kind)[::-1]
    backwards = "ending_before" in params
    if backwards:
        rest = newest_first[: _position(newest_first, params["ending_before"], "ending_before")][::-1]
    elif "starting_after" in params:
        rest = newest_first[_position(newest_first, params["starting_after"], "starting_after") + 1 :]
    else:
        rest = newest_first
    found = list(islice((obj for obj in rest if _matches(account, obj, params)), limit + 1))
    data = found[:limit][::-1] if backwards else found[:limit]
    return {"object": "list", "data": data, "has_more": len(found) > limit, "url": url}


def _position(found: list[Json], object_id: str, param: str) -> int:
    for position, obj in enumerate(found):
        if obj["id"] == object_id:
            return position
    raise InvalidRequestError(f"No such object: '{object_id}'", code="resource_missing", param=param)


def _matches(account: Account, obj: Json, params: Json) -> bool:
    created = params.get("created")
    if isinstance(created, int) and obj["created"] != created:
        return False
    if isinstance(created, dict) and not all(_COMPARE[name](obj["created"], bound) for name, bound in created.items()):
        return False
    return all(_matches_one(account, obj, name, value) for name, value in params.items() if name not in _PAGING)


def _matches_one(account: Account, obj: Json, name: str, value: object) -> bool:
    if name == "delivery_success":
        return account.webhooks.delivered(obj["id"]) is value
    if name == "payout":
        return value in account.paid_out.get(obj["id"], ())
    if name == "types":
        return isinstance(value, list) and obj["type"] in value
    if name not in obj:
        raise ParameterError(f"The fake does not support listing by {name}.", param=name)
    if isinstance(value, dict):
        return obj[name] is not None and all(obj[name].get(key) == part for key, part in value.items())
    return bool(obj[name] == value)
