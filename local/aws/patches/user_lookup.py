"""Gap of moto: it searches all users of a pool for one, and copies the attributes of each, a dozen times for a token.

Here a user's own copy is read, and the newest user first, who usually gets a token at once.
"""

from typing import Any

from moto.cognitoidp.models import CognitoIdpUserPool

from local.aws.patches.patching import replaces


@replaces(CognitoIdpUserPool, "_get_user")
def get_user(self: Any, username: str) -> Any:
    kinds = self.extended_config.get("UsernameAttributes") or ()
    for user in reversed(self.users.values()):
        if any(user.attribute_lookup.get(kind) == username for kind in kinds):
            return user
    return self.users.get(username)
