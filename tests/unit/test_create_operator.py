"""scripts.create_operator: the user, the group, and that running it again changes nothing."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from scripts.create_operator import create_operator

EMAIL = "ada@example.com"


@pytest.fixture
def cognito() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("cognito-idp", region_name="eu-west-1")


def pool(cognito: Any, *, group: bool = True) -> dict[str, str]:
    """The outputs of a stack with a user pool, whose user names are addresses."""
    pool_id = cognito.create_user_pool(PoolName="guests", UsernameAttributes=["email"])["UserPool"]["Id"]
    if group:
        cognito.create_group(UserPoolId=pool_id, GroupName="operators")
    return {"userPoolId": pool_id, "operatorTopicArn": "arn:aws:sns:eu-west-1:123456789012:booking-dev-operators"}


def operators(cognito: Any, outputs: dict[str, str]) -> list[str]:
    users = cognito.list_users_in_group(UserPoolId=outputs["userPoolId"], GroupName="operators")["Users"]
    return [next(a["Value"] for a in user["Attributes"] if a["Name"] == "email") for user in users]


@pytest.mark.parametrize("group", [True, False])
def test_the_user_is_created_once_and_is_a_member_of_the_group(cognito: Any, group: bool) -> None:  # noqa: FBT001
    outputs = pool(cognito, group=group)
    assert "created" in create_operator(outputs, EMAIL)
    (user,) = cognito.list_users(UserPoolId=outputs["userPoolId"])["Users"]
    assert user["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert {"Name": "email_verified", "Value": "true"} in user["Attributes"]
    assert "exists already" in create_operator(outputs, EMAIL)
    assert cognito.list_users(UserPoolId=outputs["userPoolId"])["Users"] == [user]
    assert operators(cognito, outputs) == [EMAIL]


def test_a_guest_becomes_an_operator_and_keeps_the_password(cognito: Any) -> None:
    outputs = pool(cognito)
    names = {"UserPoolId": outputs["userPoolId"], "Username": EMAIL}
    cognito.admin_create_user(**names, UserAttributes=[{"Name": "email", "Value": EMAIL}])
    cognito.admin_set_user_password(**names, Password="Correct-horse-1", Permanent=True)
    assert "exists already" in create_operator(outputs, EMAIL)
    (user,) = cognito.list_users(UserPoolId=outputs["userPoolId"])["Users"]
    assert user["UserStatus"] == "CONFIRMED"
    assert operators(cognito, outputs) == [EMAIL]


@pytest.mark.parametrize("address", ["ada", "ada@example.com\n", 'ada" or "@example.com', ""])
def test_a_wrong_address_is_refused_before_any_call(cognito: Any, address: str) -> None:
    outputs = pool(cognito)
    with pytest.raises(ValueError, match="is not an e-mail address"):
        create_operator(outputs, address)
    assert cognito.list_users(UserPoolId=outputs["userPoolId"])["Users"] == []
