"""shared.contracts.operations_bodies: what operators see, and what nobody sees."""

from pydantic import BaseModel

from shared.contracts import operations_bodies

SECRET = ("token", "email", "parameters", "url")


def test_no_answer_has_a_field_for_a_token_an_address_or_a_link_to_pay() -> None:
    models = [of for of in vars(operations_bodies).values() if isinstance(of, type) and issubclass(of, BaseModel)]
    names = {name for model in models for name in model.model_fields}
    assert {"payment_intent", "states"} <= names
    assert not [name for name in names if any(part in name for part in SECRET)]
