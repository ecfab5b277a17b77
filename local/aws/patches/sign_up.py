"""Gap of moto: anybody may sign up to a user pool that only administrators may add users to."""

from typing import Any

from moto.cognitoidp.exceptions import NotAuthorizedError
from moto.cognitoidp.models import CognitoIdpBackend

from local.aws.patches.patching import replaces


@replaces(CognitoIdpBackend, "sign_up")
def sign_up(self: Any, client_id: str, *details: Any) -> Any:
    for pool in self.user_pools.values():
        if client_id in pool.clients and pool.extended_config["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"]:
            raise NotAuthorizedError("SignUp is not permitted for this user pool")
    return sign_up.original(self, client_id, *details)
