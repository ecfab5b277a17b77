"""The Cognito authorizer of a REST API: verifies ID tokens and flattens their claims."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import jwt
from moto.cognitoidp.models import cognitoidp_backends
from moto.utilities.utils import load_resource

from local.aws.api_messages import RequestRefusedError
from local.aws.aws_account import ACCOUNT, REGION


class JwtAuthorizer:
    """Verifies tokens with the keys that moto publishes, which are the same for every user pool."""

    def __init__(self) -> None:
        published = load_resource("cognitoidp/resources/jwks-public.json")["keys"]
        self._keys = {key["kid"]: jwt.PyJWK(key) for key in published}

    def claims(self, authorization: str | None, pool_arns: Sequence[str]) -> dict[str, str]:
        """The flattened claims of an ID token of one of the pools. Raises RequestRefusedError."""
        token = (authorization or "").removeprefix("Bearer ").strip()
        for arn in pool_arns:
            pool_id = arn.rpartition("/")[2]
            pool = cognitoidp_backends[ACCOUNT][REGION].user_pools.get(pool_id)
            try:
                claims = jwt.decode(
                    token,
                    self._keys[jwt.get_unverified_header(token)["kid"]],
                    algorithms=["RS256"],
                    audience=list(pool.clients),
                    issuer=f"https://cognito-idp.{REGION}.amazonaws.com/{pool_id}",
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
            except jwt.ExpiredSignatureError:
                raise RequestRefusedError("EXPIRED_TOKEN") from None
            except (jwt.InvalidTokenError, KeyError):
                continue
            # The methods have no scopes, so API Gateway accepts ID tokens only.
            if claims.get("token_use") == "id":
                return flatten(claims)
        raise RequestRefusedError("UNAUTHORIZED")


def flatten(claims: Mapping[str, Any]) -> dict[str, str]:
    """Claims as the authorizer passes them on: all text, lists joined by commas, `exp` and `iat` as dates."""

    def text(name: str, value: Any) -> str:
        if name in ("exp", "iat"):
            return datetime.fromtimestamp(value, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
        if isinstance(value, list):
            return ",".join(map(str, value))
        return json.dumps(value) if isinstance(value, bool | dict) else str(value)

    return {name: text(name, value) for name, value in claims.items()}
