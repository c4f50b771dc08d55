"""JSON Web Tokens: signing, verification, and who a caller is."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm

CACHE_SIZE = 20_000
LEEWAY_S = 30
REFUSALS: dict[type[Exception], tuple[str, str]] = {
    jwt.ExpiredSignatureError: ("expired", "JWT expired"),
    jwt.ImmatureSignatureError: ("early", "JWT not yet valid"),
    jwt.InvalidSignatureError: ("signature", "No suitable key or wrong key type"),
}


class TokenError(Exception):
    """A token was refused. ``kind`` is malformed, algorithm, signature, expired, early or claims."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever stands behind a request: a database role with the claims of the token that gave it."""

    role: str
    claims: dict[str, Any]
    claims_json: str

    @property
    def user_id(self) -> str | None:
        """The user's id, or None for a bare API key."""
        return self.claims.get("sub")


def caller(claims: dict[str, Any], default_role: str = "anon") -> Caller:
    """The caller that ``claims`` name."""
    role = claims.get("role")
    role = role if isinstance(role, str) and role else default_role
    return Caller(role, claims, json.dumps({**claims, "role": role}))


class Signer:
    """Signs with the project's current key; verifies whatever either of its keys signed (RFC 7515, 7519).

    With an ES256 key, user tokens are ES256 and the shared secret still verifies legacy API keys, as on hosted
    projects that rotated to asymmetric keys.
    """

    def __init__(self, secret: str, signing_jwk: dict[str, Any] | None) -> None:
        self._secret = secret
        self._own = hashlib.sha256(b"sealed by the gateway:" + secret.encode()).hexdigest()
        self._private = jwt.PyJWK(signing_jwk, "ES256") if signing_jwk else None
        self.kid = signing_jwk.get("kid") if signing_jwk else None
        self._public: Any = self._private.key.public_key() if self._private else None
        self._cache: dict[str, Caller] = {}

    def sign(self, claims: dict[str, Any]) -> str:
        """A token for a user."""
        if self._private:
            headers = {"kid": self.kid} if self.kid else None
            return jwt.encode(claims, self._private.key, "ES256", headers=headers)
        return jwt.encode(claims, self._secret, "HS256")

    def seal(self, claims: dict[str, Any]) -> str:
        """A token for the gateway's own later reading, such as a signed URL; it opens no wire as a bearer token."""
        return jwt.encode(claims, self._own, "HS256")

    def unseal(self, token: str) -> dict[str, Any]:
        """The claims of a sealed token. Raises TokenError."""
        claims = self._decode(token, {"HS256": self._own})
        if claims.get("exp", 0) <= time.time():
            raise TokenError("expired", "JWT expired")
        return claims

    def jwks(self) -> dict[str, Any]:
        """The public keys, as served at /auth/v1/.well-known/jwks.json; a shared secret is never among them."""
        if not self._public:
            return {"keys": []}
        public: dict[str, Any] = ECAlgorithm.to_jwk(self._public, as_dict=True)
        about = {"alg": "ES256", "kid": self.kid, "use": "sig", "key_ops": ["verify"], "ext": True}
        return {"keys": [public | about]}

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of ``token``. Raises TokenError."""
        claims = self._decode(token, {"HS256": self._secret, "ES256": self._public})
        for name in ("exp", "nbf", "iat"):
            if isinstance(claims.get(name, 0), bool) or not isinstance(claims.get(name, 0), int | float):
                raise TokenError("claims", f"The JWT '{name}' claim must be a number")
        audience = claims.get("aud", "")
        if not all(isinstance(a, str) for a in (audience if isinstance(audience, list) else [audience])):
            raise TokenError("claims", "The JWT 'aud' claim must be a string or an array of strings")
        return claims

    def _decode(self, token: str, keys: dict[str, Any]) -> dict[str, Any]:
        parts = token.count(".") + 1 if token else 0
        if parts != 3:
            raise TokenError("malformed", f"Expected 3 parts in JWT; got {parts}")
        try:
            algorithm = str(jwt.get_unverified_header(token).get("alg"))
        except jwt.PyJWTError as error:
            raise TokenError("malformed", "JWT cryptographic operation failed") from error
        if keys.get(algorithm) is None:
            raise TokenError("algorithm", "Wrong or unsupported encoding algorithm")
        options: Any = {"verify_aud": False, "verify_sub": False}
        try:
            return dict(jwt.decode(token, keys[algorithm], [algorithm], leeway=LEEWAY_S, options=options))
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise TokenError(*REFUSALS.get(type(error), ("malformed", str(error)))) from error

    def caller(self, token: str, leeway: float = 0) -> Caller:
        """The caller behind ``token``; verified once, then remembered until it expires. Raises TokenError.

        REST accepts a token for ``leeway`` seconds beyond its time (PostgREST's clock skew); the other wires do not.
        """
        found = self._cache.get(token)
        if found is None:
            found = caller(self.verify(token))
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[token] = found
        if found.claims.get("exp", float("inf")) + leeway <= time.time():
            raise TokenError("expired", "JWT expired")
        return found
