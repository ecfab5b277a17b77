"""Sign-up to a user pool."""

import inspect

import boto3
import pytest

from local.aws.patches import sign_up


@pytest.mark.defect("A-09")
@pytest.mark.parametrize("admin_only", [True, False])
def test_nobody_signs_up_where_only_the_platform_creates_guests(aws: None, *, admin_only: bool) -> None:
    cognito = boto3.client("cognito-idp")
    settings = {"AllowAdminCreateUserOnly": admin_only}
    pool = cognito.create_user_pool(PoolName="guests", AdminCreateUserConfig=settings)["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="site")["UserPoolClient"]["ClientId"]
    guest = {"Username": "ada@guests.example", "Password": "Correct-horse-7"}
    if admin_only:
        with pytest.raises(cognito.exceptions.NotAuthorizedException, match="SignUp is not permitted"):
            cognito.sign_up(ClientId=client, **guest)
    else:
        cognito.sign_up(ClientId=client, **guest)
    assert len(cognito.list_users(UserPoolId=pool)["Users"]) == (not admin_only)


def test_moto_still_lets_anybody_sign_up() -> None:
    assert "AllowAdminCreateUserOnly" not in inspect.getsource(sign_up.sign_up.original)
