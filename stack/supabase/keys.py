"""API keys and signing keys of a Supabase project: minted for the embedded target, written to its CONFIG.json.

Two generations of API keys exist side by side on hosted projects (Supabase docs, "Understanding API keys"):

- legacy: JWTs whose ``role`` claim is ``anon`` or ``service_role``, signed with the project's shared secret;
- current: opaque ``sb_publishable_…`` and ``sb_secret_…`` strings, which the API gateway maps to those roles.
"""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

TEN_YEARS_S = 10 * 365 * 86400


@dataclass(frozen=True)
class Keys:
    """Everything secret that one project needs; ``secrets()`` gives the part the gateway reads."""

    jwt_secret: str
    signing_jwk: dict[str, Any]
    anon_key: str
    service_role_key: str
    publishable_key: str
    secret_key: str

    def secrets(self) -> dict[str, Any]:
        """The entries of CONFIG.json's ``secrets`` that the gateway reads, by their names there."""
        api = {f"supabase_{name}": value for name, value in asdict(self).items() if name.endswith("_key")}
        return {"jwt_secret": self.jwt_secret, "jwt_signing_jwk": self.signing_jwk, **api}


def generate() -> Keys:
    """A new set of keys. The legacy JWT keys are HS256 under ``jwt_secret``; ``signing_jwk`` signs users' tokens."""
    secret = secrets.token_urlsafe(48)
    return Keys(
        jwt_secret=secret,
        signing_jwk=es256_jwk(),
        anon_key=legacy_key(secret, "anon"),
        service_role_key=legacy_key(secret, "service_role"),
        publishable_key=opaque_key("publishable"),
        secret_key=opaque_key("secret"),
    )


def legacy_key(jwt_secret: str, role: str) -> str:
    """A legacy API key: a JWT with the claims a hosted one has, valid for ten years."""
    now = int(time.time())
    claims = {"iss": "supabase", "ref": "embedded", "role": role, "iat": now, "exp": now + TEN_YEARS_S}
    return jwt.encode(claims, jwt_secret, "HS256")


def opaque_key(kind: str) -> str:
    """A current API key: ``sb_``, its kind, 22 random characters and 8 more, a check sum on a hosted project."""
    return f"sb_{kind}_{secrets.token_urlsafe(16)}_{secrets.token_urlsafe(6)}"


def es256_jwk() -> dict[str, Any]:
    """A private P-256 JSON Web Key with a key id, fit for ES256 signing."""
    made: dict[str, Any] = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**made, "alg": "ES256", "use": "sig", "kid": str(uuid.uuid4())}
