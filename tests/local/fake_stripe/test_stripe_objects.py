"""Objects have the fields that the SDK's types declare, and every type of a parameter can be checked."""

import typing
from typing import Any

import pytest
import stripe
from typing_extensions import is_typeddict

from local.fake_stripe.objects import OBJECT_TYPES, build
from local.fake_stripe.params import _hints, check
from local.fake_stripe.stripe_operations import ROUTES
from tests.local.fake_stripe.conftest import Account


def value_problems(value: Any, hint: Any, path: str) -> list[str]:
    """The differences of a value from the SDK's annotation: plain types, choices and nulls, one level deep."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        if value is None:
            return [] if type(None) in args else [f"{path} is null"]
        named = [arg for arg in args if typing.get_origin(arg) is typing.Literal]
        if named and value not in typing.get_args(named[0]):
            return [f"{path} is {value!r}"]
        (rest,) = [[arg for arg in args if arg not in (type(None), *named)]]
        return value_problems(value, rest[0], path) if rest and not isinstance(rest[0], typing.ForwardRef) else []
    if origin is typing.Literal:
        return [] if value in args else [f"{path} is {value!r}"]
    if origin is list:
        found = [value_problems(item, args[0], f"{path}[{position}]") for position, item in enumerate(value)]
        return [problem for problems in found for problem in problems]
    if hint in (int, str, bool):
        return [] if type(value) is hint else [f"{path} is a {type(value).__name__}"]
    return []


def test_every_object_has_the_fields_and_types_of_the_sdk(account: Account) -> None:
    for card in ("4242424242424242", "4000000000000002", "4000000000003220"):
        session = account.create_session()
        account.pay(session, card)
    (paid,) = account.v1.payment_intents.list({"created": {"gt": 0}, "limit": 100}).data[2:]
    account.v1.refunds.create({"payment_intent": paid.id, "amount": 5})
    account.fake.refund_status = "pending"
    account.v1.refunds.create({"payment_intent": paid.id, "amount": 5})
    account.fake.warn_of_fraud(paid.id)
    account.fake.open_dispute(paid.id, 100)
    account.fake.clock.advance(4 * 86_400)
    account.fake.pay_out()
    for kind, object_type in OBJECT_TYPES.items():
        found = account.fake.all(kind)
        assert found, f"no {kind} was created"
        for obj in found:
            hints = {name: hint for name, hint in object_type.__annotations__.items() if name != "OBJECT_NAME"}
            assert obj.keys() <= hints.keys()
            problems = [value_problems(value, hints[name], f"{kind}.{name}") for name, value in obj.items()]
            assert [problem for each in problems for problem in each] == []


def test_missing_and_unknown_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="webhook_endpoint without created"):
        build("webhook_endpoint", id="we_1", enabled_events=[], metadata={}, status="enabled", url="x")
    with pytest.raises(TypeError, match="has no color"):
        build("webhook_endpoint", id="we_1", created=1, enabled_events=[], metadata={}, status="", url="", color=1)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_parameter_type_of_every_route_is_supported(route: Any) -> None:
    todo, seen = [route.params], set()
    while todo:
        params = todo.pop()
        seen.add(params)
        for hint in _hints(params)[0].values():
            parts = [hint]
            while parts:
                part = parts.pop()
                parts.extend(typing.get_args(part) if typing.get_origin(part) is not typing.Literal else ())
                assert not isinstance(part, str | typing.ForwardRef), f"{params.__name__}: {part} is not resolved"
                if is_typeddict(part) and part not in seen:
                    todo.append(part)
    assert seen


def test_no_route_has_the_sdks_own_options() -> None:
    for route in ROUTES:
        assert "idempotency_key" not in _hints(route.params)[0]
    assert check({}, stripe.params.RefundListParams) == {}
