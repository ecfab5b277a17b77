"""Sign-in at an OpenID provider, such as Cognito's hosted page: authorization code with PKCE, for a public client."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import jwt
import requests

from console.sign_in import Session, SignInFailedError

TIMEOUT = 10  # seconds
_PROOFS = ("state", "nonce", "verifier")

type Json = dict[str, Any]


@dataclass(frozen=True)
class OpenId:
    """`redirect` is this console's own address, to which the provider sends the person back."""

    issuer: str
    client_id: str
    redirect: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    redirects: bool = True

    @classmethod
    def discover(cls, issuer: str, *, client_id: str, redirect: str) -> Self:
        """Read the provider's addresses. Raises SignInFailedError."""
        found = _read(f"{issuer}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise SignInFailedError(f"The provider at {issuer} calls itself {found.get('issuer')}.")
        return cls(
            issuer,
            client_id,
            redirect,
            authorization_endpoint=str(found["authorization_endpoint"]),
            token_endpoint=str(found["token_endpoint"]),
            jwks_uri=str(found["jwks_uri"]),
        )

    def start(self, session: Session) -> str:
        """The provider's page. State, nonce and verifier stay with the session, and prove that the answer is its."""
        proofs = {name: secrets.token_urlsafe(32) for name in _PROOFS}
        session.attempt = {**(session.attempt or {}), **proofs}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(proofs["verifier"].encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "scope": "openid",
            "state": proofs["state"],
            "nonce": proofs["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.authorization_endpoint}?{urlencode(query)}"

    def finish(self, session: Session, answer: dict[str, str]) -> str:
        """The ID token, verified. An attempt can be finished once."""
        attempt, session.attempt = session.attempt or {}, None
        expected = attempt.get("state", "")
        if not expected or not secrets.compare_digest(expected.encode(), answer.get("state", "").encode()):
            raise SignInFailedError("This answer does not belong to a sign-in that was started here.")
        if "code" not in answer:
            raise SignInFailedError("The sign-in page was left without signing in.")
        token = self._exchange(answer["code"], attempt["verifier"])
        self._verify(token, attempt["nonce"])
        return token

    def _exchange(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "code": code,
            "code_verifier": verifier,
        }
        try:
            answer = requests.post(self.token_endpoint, data=form, timeout=TIMEOUT, allow_redirects=False)
            content = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise SignInFailedError("The sign-in provider does not answer.") from error
        if not answer.ok or "id_token" not in content:
            raise SignInFailedError("The sign-in provider did not accept the code.")
        return str(content["id_token"])

    def _verify(self, token: str, nonce: str) -> None:
        """Raises SignInFailedError unless the token is the provider's, for this client and this attempt."""
        try:
            known = jwt.PyJWKSet.from_dict(_read(self.jwks_uri))
            claims = jwt.decode(
                token,
                known[jwt.get_unverified_header(token)["kid"]],
                algorithms=["RS256"],
                audience=self.client_id,
                issuer=self.issuer,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise SignInFailedError("The sign-in provider's token is not valid.") from error
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise SignInFailedError("The sign-in provider's token is not the answer to this sign-in.")


def _read(url: str) -> Json:
    try:
        answer = requests.get(url, timeout=TIMEOUT)
        answer.raise_for_status()
        return dict(answer.json())
    except (requests.RequestException, ValueError) as error:
        raise SignInFailedError(f"{url} cannot be read.") from error
