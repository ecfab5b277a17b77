"""An OpenID provider that signs everybody in at once, and checks the client as strictly as Cognito does."""

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

type Json = dict[str, Any]


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class OpenIdProvider:
    """`claims` replace those of the tokens; `signs_with` is the key, which a test may replace by one of its own."""

    issuer: str
    client_id: str = "console-client"
    redirects: tuple[str, ...] = ()
    claims: Json = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(default_factory=new_key)
    signs_with: rsa.RSAPrivateKey | None = None
    error: str | None = None
    issued: list[str] = field(default_factory=list)
    _codes: dict[str, Json] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/jwks.json", self._jwks),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _configuration(self, _: Request) -> Response:
        addresses = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks.json"}
        return JSONResponse(
            {"issuer": self.issuer} | {name: f"{self.issuer}{path}" for name, path in addresses.items()}
        )

    async def _jwks(self, _: Request) -> Response:
        key = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**key, "kid": "1", "alg": "RS256", "use": "sig"}]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("client_id") != self.client_id or asked.get("redirect_uri") not in self.redirects:
            return HTMLResponse("unknown client or redirect", 400)
        if (asked["response_type"], asked["code_challenge_method"]) != ("code", "S256"):
            return HTMLResponse("not the flow of this client", 400)
        if self.error is not None:
            return RedirectResponse(
                f"{asked['redirect_uri']}?{urlencode({'error': self.error, 'state': asked['state']})}"
            )
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": "an-operator",
            "iat": now,
            "exp": now + 3600,
            "nonce": asked["nonce"],
            "token_use": "id",
            **self.claims,
        }
        token = jwt.encode(claims, self.signs_with or self.key, algorithm="RS256", headers={"kid": "1"})
        self.issued.append(token)
        return JSONResponse({"id_token": token, "token_type": "Bearer"})
