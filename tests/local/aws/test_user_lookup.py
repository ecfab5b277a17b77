"""Users of a pool by their names."""

import inspect
from typing import Any

import boto3
import pytest
from moto.cognitoidp.models import CognitoIdpUserPool, cognitoidp_backends

from local.aws import emulator
from local.aws.patches import user_lookup


@pytest.mark.parametrize("by", [{"UsernameAttributes": ["email"]}, {}], ids=["by e-mail address", "by name"])
def test_a_user_is_found_as_moto_finds_them(aws: None, monkeypatch: pytest.MonkeyPatch, by: dict[str, Any]) -> None:
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="guests", **by)["UserPool"]["Id"]
    names = [f"guest-{number}@guests.example" for number in range(5)]
    for name in names:
        attributes = [{"Name": "email", "Value": name}]
        cognito.admin_create_user(UserPoolId=pool, Username=name, UserAttributes=attributes)
    changed = [{"Name": "email", "Value": "other@guests.example"}]
    cognito.admin_update_user_attributes(UserPoolId=pool, Username=names[1], UserAttributes=changed)
    cognito.admin_delete_user(UserPoolId=pool, Username=names[2])
    users = cognitoidp_backends[emulator.ACCOUNT][emulator.REGION].user_pools[pool]

    def found() -> list[Any]:
        return [users._get_user(name) for name in (*names, "other@guests.example", *users.users)]

    fast = found()
    assert len({user.id for user in fast if user}) == 4
    monkeypatch.setattr(CognitoIdpUserPool, "_get_user", user_lookup.get_user.original)
    assert fast == found()


def test_moto_still_copies_the_attributes_of_all_users() -> None:
    assert "flatten_attrs(user.attributes)" in inspect.getsource(user_lookup.get_user.original)
